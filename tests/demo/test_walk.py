"""From chip to chip: through a batch, the gallery, and the queue of unsure ones."""

from __future__ import annotations

import re

import pictures
import pytest
from django.test import Client
from showcase.models import Chip, Flag
from showcase.services import unsure

pytestmark = pytest.mark.django_db


def links(client, path: str) -> dict[str, str]:
    """The addresses before and behind on a chip's page."""
    page = client.get(path).content.decode()
    found = re.findall(r'rel="(prev|next)" href="([^"]+)"', page)
    return {rel: address.replace("&amp;", "&") for rel, address in found}


def names(client, path: str, rel: str = "next") -> list[str]:
    """Of the chips that somebody sees who follows one link as long as there is one."""
    seen = []
    while path:
        key = path.split("/")[2]
        seen.append(Chip.objects.get(key=key).name)
        path = links(client, path).get(rel)
        assert len(seen) < 30
    return seen


def files(*numbers: int) -> list:
    return [(f"{i}.png", pictures.png(i)) for i in numbers]


def test_through_a_private_batch_also_where_it_has_a_chip_twice(showcase, client):
    batch = showcase.run([*files(1, 2), ("again.png", pictures.png(1)), *files(3)], private="1")
    page = client.get(batch.get_absolute_url()).content.decode()
    paths = [x.replace("&amp;", "&") for x in re.findall(r'href="(/chip/[^"]+of=[^"]+)"', page)]
    assert len(paths) == 4
    assert names(client, paths[0]) == ["1", "2", "1", "3"]
    assert names(client, paths[3], "prev") == ["3", "1", "2", "1"]
    assert "prev" not in links(client, paths[0])
    # Without the batch's address a private chip leads nowhere else, nor with a wrong one.
    chip = batch.placements.first().chip
    for query in ("", "?of=wrong", f"?of=%00&at={batch.placements.first().pk}", "?of=unsure"):
        assert links(client, f"{chip.get_absolute_url()}{query}") == {}


def test_what_was_taken_down_is_walked_past(showcase, client):
    batch = showcase.run(files(1, 2, 3))
    Chip.objects.filter(name="2").update(hidden=True, shown=False)
    first = batch.placements.first()
    path = f"{first.chip.get_absolute_url()}?of={batch.token}&at={first.pk}"
    assert names(client, path) == ["1", "3"]
    assert names(client, first.chip.get_absolute_url(), "prev") == ["1", "3"]  # in the gallery


@pytest.mark.parametrize("sort", ["newest", "oldest", "sure", "unsure"])
def test_through_the_gallery_in_its_order_and_within_its_filters(showcase, client, sort):
    showcase.run(files(*range(8)))
    query = f"?sort={sort}&q=1&match=any"
    Chip.objects.filter(name__in=["3", "4", "5"]).update(name="1x")
    page = client.get(f"/gallery/{query}").content.decode()
    paths = [x.replace("&amp;", "&") for x in re.findall(r'href="(/chip/[^"]+)"', page)]
    assert len(paths) == 4
    shown = [Chip.objects.get(key=path.split("/")[2]).name for path in paths]
    assert names(client, paths[0]) == shown
    assert names(client, paths[-1], "prev") == shown[::-1]
    assert "?" not in links(client, Chip.objects.first().get_absolute_url()).get("prev", "")


def test_experts_get_what_the_model_is_least_sure_of_and_their_word_counts(showcase, client, staff):
    showcase.run(files(*range(6)))
    showcase.run(files(90), private="1")
    queue = unsure.queue()
    assert {one.chip.name for one in queue} == {str(i) for i in range(6)}
    distances = [abs(one.percent - one.threshold) for one in queue]
    assert distances == sorted(distances)
    assert client.get("/unsure/").status_code == 403
    expert = Client()
    expert.force_login(staff)
    page = expert.get("/unsure/").content.decode()
    assert re.findall(r'href="/chip/([^/]+)/\?of=unsure"', page) == [o.chip.key for o in queue]
    assert f"{queue[0].percent:.1f} %, threshold {queue[0].threshold:.1f} %" in page
    first, second = queue[0].chip, queue[1].chip
    assert names(expert, f"{first.get_absolute_url()}?of=unsure") == [o.chip.name for o in queue]
    said = {"label": ["haze", "water"]}
    answer = expert.post(f"{first.get_absolute_url()}flag/?of=unsure", said)
    assert answer["Location"] == f"{second.get_absolute_url()}?of=unsure"  # the next one
    first.refresh_from_db()
    flag = Flag.objects.get()
    assert (first.corrected, flag.state, flag.decided_by) == (True, "accepted", staff)
    assert [one.chip for one in unsure.queue()] == [one.chip for one in queue[1:]]
    # Anybody else's word waits, and he stays where he was.
    answer = client.post(f"{second.get_absolute_url()}flag/?sort=sure", said)
    assert answer["Location"] == f"{second.get_absolute_url()}?sort=sure"
    second.refresh_from_db()
    assert not second.corrected


def test_an_empty_queue_says_so(client, staff):
    client.force_login(staff)
    assert "Nothing waits here" in client.get("/unsure/").content.decode()
