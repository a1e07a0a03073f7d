"""A batch's own page: what it says while it waits, of what failed, and where it leads."""

from __future__ import annotations

import pictures
import pytest
from django.test import Client
from showcase.models import Batch, Chip, Placement, Upload

pytestmark = pytest.mark.django_db


def test_places_of_a_mosaic_that_wait_are_not_drawn_as_failed(showcase, client):
    batch = showcase.run([("big.png", pictures.png(1, 512))])
    upload = batch.uploads.get()
    first, second, *_ = upload.placements.order_by("pk")
    Placement.objects.filter(pk=first.pk).update(state="waiting", prediction=None)
    Placement.objects.filter(pk=second.pk).update(state="failed", code="predictor", prediction=None)
    page = client.get(f"/batch/{batch.token}/picture/{upload.pk}/").content.decode()
    assert page.count('<g class="coming"><title>not labelled yet</title>') == 1
    assert page.count('<g class="failed"><title>The model could not predict this chip.') == 1
    assert page.count('<a href="/chip/') == 2


def shown(client, batch, query: str = "") -> str:
    return client.get(f"{batch.get_absolute_url()}{query}").content.decode()


def test_every_failed_file_and_every_large_picture_is_on_some_page(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))])
    rows = [
        Upload(batch=batch, name=f"bad{i:03}", state="failed", code="broken") for i in range(150)
    ]
    rows += [
        Upload(batch=batch, name=f"big{i:03}", state="read", rows=2, columns=2) for i in range(70)
    ]
    Upload.objects.bulk_create(rows)
    pages = [shown(client, batch, query) for query in ("", "?why=2", "?why=3", "?why=99")]
    for i in range(150):
        assert f"<b>bad{i:03}</b>: The file is damaged" in pages[i // 60]
    assert "<b>bad149</b>" in pages[3]  # past the end is the last page
    assert "#failed" in pages[0]
    assert '<span class="muted number">150</span>' in pages[0]
    large = [shown(client, batch, query) for query in ("", "?large=2")]
    for i in range(70):
        assert f">big{i:03} <" in large[i // 60]
    # Each list turns by itself, and the part that htmx asks for stays on the same pages.
    both = shown(client, batch, "?why=2&large=2")
    assert f'href="/batch/{batch.token}/?why=3&amp;large=2#failed"' in both
    assert f'href="/batch/{batch.token}/?why=2&amp;large=1#pictures"' in both


def test_the_waiting_page_asks_for_the_page_it_shows(showcase, client):
    batch = showcase.batch([("a.png", pictures.png(1))])
    assert f'hx-get="/batch/{batch.token}/progress/"' in shown(client, batch)
    page = shown(client, batch, "?page=2&why=3")
    assert f'hx-get="/batch/{batch.token}/progress/?page=2&amp;why=3"' in page


def test_trying_again_is_offered_where_something_can_be(showcase, client):
    members = [("one.png", pictures.png(1)), ("../up.png", pictures.png(2))]
    batch = showcase.run([("pack.zip", pictures.archive(members)), ("bad.png", b"nothing")])
    offer = "Try the failed ones again"
    assert offer in shown(client, batch)  # the copy of bad.png is kept for a day
    Upload.objects.filter(batch=batch, name="bad").update(copy="")
    page = shown(client, batch)
    assert "points outside its folder" in page
    assert offer not in page
    said = client.post(f"/batch/{batch.token}/retry/", follow=True).content.decode()
    assert "Nothing of this batch can be tried again." in said
    assert "are tried again" not in said
    Placement.objects.filter(batch=batch).update(state="failed", code="predictor", prediction=None)
    assert offer in shown(client, batch)
    assert offer not in shown(Client(), batch)  # to a guest
    said = client.post(f"/batch/{batch.token}/retry/", follow=True).content.decode()
    assert "are tried again" in said
    assert offer not in said
    assert showcase.work(batch).chips_labelled == 1


def test_cancelling_what_has_ended_says_so(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))])
    said = client.post(f"/batch/{batch.token}/cancel/", follow=True).content.decode()
    assert "The batch has ended already." in said


def test_a_public_batch_leads_to_its_chips_in_the_gallery(showcase, client):
    """However many batches came after it: the gallery's own list holds the newest 30."""
    public = showcase.run([("a.png", pictures.png(1))])
    private = showcase.run([("b.png", pictures.png(2))], private="1")
    link = f'href="/gallery/?batch={public.token}"'
    assert link in shown(client, public)
    assert "See it in the gallery" not in shown(client, private)
    Batch.objects.bulk_create(Batch(title=f"n{i}", chips_labelled=1) for i in range(40))
    page = client.get(f"/gallery/?batch={public.token}").content.decode()
    assert f'<option value="{public.token}" selected>' in page
    assert Chip.objects.get(name="a").key in page
    assert public.token not in client.get("/gallery/").content.decode()
