"""The gallery against brute force, and what makes it fast: few queries, the index, keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import numpy as np
import pictures
import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from showcase import filenames, label_sets
from showcase.models import Chip, Flag, ModelVersion, Prediction
from showcase.services import gallery, similar

from paperlib.labels import CHINESE, COUNT, ENGLISH, LABELS, WEATHER

pytestmark = pytest.mark.django_db
START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def chips(db) -> list[Chip]:
    """150 chips with random labels; some are not shown."""
    rng = np.random.default_rng(3)
    Chip.objects.bulk_create(
        Chip(
            sha256=f"{i:064d}",
            name=f"chip_{i}",
            width=64,
            height=64,
            shown=bool(i % 7),
            labels=int(rng.integers(0, 1 << COUNT)) & int(rng.integers(0, 1 << COUNT)),
            confidence=round(float(rng.random()), 2),  # with ties
            added_at=START + timedelta(hours=5 * i),
        )
        for i in range(150)
    )
    return list(Chip.objects.order_by("pk"))


def walk(query: str) -> list[int]:
    """All pages from the first to the last, as ids."""
    found, key = [], query
    for _ in range(20):
        page = gallery.page(QueryDict(key))
        found += [chip.pk for chip in page.chips]
        if not page.older:
            return found
        key = page.older
    raise AssertionError("the pages do not end")


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "label": st.lists(st.sampled_from(LABELS), max_size=3, unique=True),
        "match": st.sampled_from(["any", "all"]),
        "weather": st.sampled_from(WEATHER),
        "least": st.integers(0, 100),
        "most": st.integers(0, 100),
        "since": st.dates(START.date(), (START + timedelta(40)).date()),
        "until": st.dates(START.date(), (START + timedelta(40)).date()),
        "sort": st.sampled_from(gallery.SORTS),
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(FILTERS)
def test_the_pages_hold_what_brute_force_finds_in_order(chips, asked):
    query = QueryDict(mutable=True)
    for key, value in asked.items():
        query.setlist(key, [str(v) for v in value] if isinstance(value, list) else [str(value)])
    wanted = label_sets.mask(asked.get("label", []))

    def passes(chip: Chip) -> bool:
        if not chip.shown:
            return False
        met = chip.labels & wanted
        if wanted and (met == 0 if asked.get("match") == "any" else met != wanted):
            return False
        if "weather" in asked and not chip.labels & label_sets.mask([asked["weather"]]):
            return False
        if not asked.get("least", 0) / 100 <= chip.confidence <= asked.get("most", 100) / 100:
            return False
        day = chip.added_at.date()
        return asked.get("since", day) <= day <= asked.get("until", day)

    left = [chip for chip in chips if passes(chip)]
    sort = asked.get("sort", "newest")
    key = (lambda c: c.pk) if sort in ("newest", "oldest") else (lambda c: (c.confidence, c.pk))
    left.sort(key=key, reverse=sort in ("newest", "sure"))
    assert walk(query.urlencode()) == [chip.pk for chip in left]
    assert gallery.page(query).count == len(left)


@pytest.mark.parametrize("sort", gallery.SORTS)
def test_going_back_shows_the_same_pages(chips, sort):
    forward = [gallery.page(QueryDict(f"sort={sort}"))]
    assert not forward[0].newer
    while forward[-1].older:
        forward.append(gallery.page(QueryDict(forward[-1].older)))
    assert len(forward) == 3
    for earlier, later in zip(forward[-2::-1], forward[:0:-1], strict=True):
        back = gallery.page(QueryDict(later.newer))
        assert [c.pk for c in back.chips] == [c.pk for c in earlier.chips]


def test_search_finds_names_and_labels_in_both_languages(chips):
    water = {c.pk for c in chips if c.shown and c.labels & label_sets.mask(["water"])}
    assert set(walk("q=water")) == set(walk("q=水")) == water
    assert [Chip.objects.get(pk=pk).name for pk in walk("q=chip_149")] == ["chip_149"]
    assert walk("q=chip_149 nothing") == []
    assert len(walk("q=%25")) == 0  # no wildcard of the database


@pytest.mark.parametrize("label", LABELS)
def test_search_finds_a_label_by_any_of_its_names(chips, label):
    wanted = {c.pk for c in chips if c.shown and c.labels & label_sets.mask([label])}
    spellings = {label, ENGLISH[label], CHINESE[label], ENGLISH[label].upper().replace(" ", "-")}
    for spelling in spellings:
        assert set(walk(f"q={spelling}")) == wanted, spelling
    road = {pk for pk in wanted if Chip.objects.get(pk=pk).labels & label_sets.mask(["road"])}
    assert set(walk(f"q=road {ENGLISH[label]}")) == set(walk(f"q={ENGLISH[label]} road")) == road
    some = [c for c in chips if c.pk in wanted][-1]
    assert set(walk(f"q={ENGLISH[label]} {some.name}")) == {some.pk}


def test_terms_of_a_search():
    assert gallery.terms("bare ground 7 partly  cloudy") == [
        ("bare ground", "bare_ground"),
        ("7", None),
        ("partly cloudy", "partly_cloudy"),
    ]
    assert gallery.terms("ground bare") == [("ground", None), ("bare", None)]
    assert gallery.terms("") == []


NONSENSE = ["label=xx", "least=abc", "most=-1", "since=yesterday", "sort=;drop", "after=1_nan"]
NONSENSE += ["after=99999999999999999999_0.5", "before=x", "batch=%00", "q=%00", "weather=[]"]
NONSENSE += ["after=1_inf", "until=9999-12-31", "since=0001-01-01", "least=²", "page=9"]


@pytest.mark.parametrize("query", NONSENSE)
def test_nonsense_in_the_address_is_harmless(client, chips, query):
    assert client.get(f"/gallery/?{query}").status_code == 200


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Manaus"])
@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31", "until=9999-12-30"])
def test_the_first_and_last_days_are_harmless_in_any_zone(client, chips, settings, zone, query):
    settings.TIME_ZONE = zone
    assert client.get(f"/gallery/?{query}").status_code == 200


def test_the_filters_survive_in_the_page_links(chips):
    page = gallery.page(QueryDict("label=primary&match=any&least=10&sort=sure"))
    if page.older:
        kept = parse_qs(page.older)
        assert kept["label"] == ["primary"]
        assert (kept["match"], kept["least"], kept["sort"]) == (["any"], ["10"], ["sure"])


def test_the_number_of_queries_does_not_grow(client, chips, django_assert_max_num_queries):
    client.get("/gallery/")
    for query in ("", "sort=sure", "label=water&label=clear&match=any", "q=chip"):
        with django_assert_max_num_queries(6):
            client.get(f"/gallery/?{query}")


@pytest.mark.parametrize(
    "query", ["", "label=water&label=road", "sort=sure&label=water", "least=50"]
)
def test_the_filters_stay_within_a_covering_index(chips, query):
    if connection.vendor != "sqlite":
        pytest.skip("the plan is SQLite's")
    rows, _ = gallery.select(gallery.Filters.read(QueryDict(query)))
    column = "-confidence" if "sort=sure" in query else "-id"
    plan = rows.order_by(column, "-id").values_list("id", "confidence")[:48].explain()
    assert "USING COVERING INDEX chip_" in plan
    assert "TEMP B-TREE" not in plan


def test_the_count_stops_at_its_ceiling(chips, monkeypatch):
    monkeypatch.setattr(gallery, "COUNTED", 20)
    page = gallery.page(QueryDict(""))
    assert (page.count, page.more_than_counted) == (20, True)


def test_a_private_batch_is_in_no_gallery(showcase, client):
    private = showcase.run([("secret_chip.png", pictures.png(1))], private="1")
    public = showcase.run([("a.png", pictures.png(2))])
    assert len(walk("")) == 1
    assert walk(f"batch={private.token}") == []
    assert len(walk(f"batch={public.token}")) == 1
    text = client.get("/gallery/").content.decode() + client.get("/").content.decode()
    assert "secret_chip" not in text
    chip = Chip.objects.get(placements__batch=private)
    other = Chip.objects.get(placements__batch=public)
    assert chip.key not in client.get(other.get_absolute_url()).content.decode()
    # The address itself, once known, works: that is how it is shared.
    assert client.get(private.get_absolute_url()).status_code == 200
    assert client.get(chip.get_absolute_url()).status_code == 200


def test_a_private_chip_stays_private_when_somebody_publishes_the_same(showcase):
    data = pictures.png(1)
    mine = showcase.run([("mine.png", data)], private="1")
    showcase.run([("theirs.png", data)])
    assert [chip.name for chip in Chip.objects.filter(shown=True)] == ["theirs"]
    chip = mine.placements.get().chip
    assert (chip.name, chip.public, chip.shown) == ("mine", False, False)


def test_similar_chips_are_the_nearest_by_probabilities(db):
    rng = np.random.default_rng(0)
    model = ModelVersion.objects.create(name="m", fingerprint="f", thresholds=[0.5] * COUNT)
    vectors = rng.random((60, COUNT)).astype(np.float32)
    for i, vector in enumerate(vectors):
        chip = Chip.objects.create(sha256=str(i), width=1, height=1, shown=i != 5, labels=1)
        Prediction.objects.create(
            chip=chip, model=model, probability=Prediction.pack(vector), raw=b""
        )
    first = Chip.objects.get(sha256="0")
    distance = np.linalg.norm(vectors - vectors[0], axis=1)
    order = [str(i) for i in np.argsort(distance) if i not in (0, 5)][:8]
    assert [c.sha256 for c in similar.to(first)] == order
    # A chip that comes later is found, one that is hidden later is not.
    near = Chip.objects.create(sha256="near", width=1, height=1, shown=True, labels=1)
    Prediction.objects.create(
        chip=near, model=model, probability=Prediction.pack(vectors[0]), raw=b""
    )
    Chip.objects.filter(sha256=order[0]).update(shown=False)
    assert [c.sha256 for c in similar.to(first)][:2] == ["near", order[1]]


def test_a_flag_is_kept_and_exported_as_the_competitions_csv(showcase, client):
    showcase.run([("train_7.png", pictures.png(1)), ("train_8.png", pictures.png(2))])
    chip = Chip.objects.get(name="train_7")
    send = {"label": ["water", "clear", "no such label"], "comment": "a river\0!"}
    assert client.post(f"/chip/{chip.key}/flag/", send).status_code == 302
    flag = Flag.objects.get()
    assert label_sets.names(flag.labels) == ["clear", "water"]
    assert flag.comment == "a river!"
    # Until staff has looked at it, nobody reads it and nobody trains on it.
    assert b"train_7" not in b"".join(client.get("/flags.csv").streaming_content)
    assert "a river!" not in Client().get(chip.get_absolute_url()).content.decode()
    assert "a river!" in client.get(chip.get_absolute_url()).content.decode()  # who wrote it
    Flag.objects.update(state="accepted")
    text = b"".join(client.get("/flags.csv").streaming_content).decode()
    assert text == "image_name,tags\ntrain_7,clear water\n"
    assert "a river!" in Client().get(chip.get_absolute_url()).content.decode()
    # The newest accepted flag of a chip counts; one that staff rejects does not.
    client.post(f"/chip/{chip.key}/flag/", {"label": ["haze"]})
    assert b"train_7,clear water\n" in b"".join(client.get("/flags.csv").streaming_content)
    Flag.objects.update(state="accepted")
    assert b"train_7,haze\n" in b"".join(client.get("/flags.csv").streaming_content)
    Flag.objects.update(state="rejected")
    assert b"train_7" not in b"".join(client.get("/flags.csv").streaming_content)


def test_a_strangers_flag_does_not_override_an_accepted_one(showcase, client):
    showcase.run([("train_7.png", pictures.png(1)), ("train_8.png", pictures.png(2))])
    chip = Chip.objects.get(name="train_7")
    for label, state in (("water", "accepted"), ("road", "accepted"), ("haze", "open")):
        flag = Flag.objects.create(chip=chip, labels=label_sets.mask([label]), state=state)
    text = b"".join(client.get("/flags.csv").streaming_content).decode()
    assert text == "image_name,tags\ntrain_7,road\n"
    Flag.objects.filter(state="accepted").update(state="rejected")
    assert b"train_7" not in b"".join(client.get("/flags.csv").streaming_content)
    assert flag.state == "open"


def test_chips_of_the_same_name_are_told_apart_in_the_flags(showcase, client):
    for i, name in enumerate(("a b", "a_b", "c")):
        showcase.run([(f"{name}.png", pictures.png(i))])
    chips = list(Chip.objects.order_by("pk"))
    for chip in chips:
        client.post(f"/chip/{chip.key}/flag/", {"label": "water"})
        client.post(f"/chip/{chip.key}/flag/", {"label": "haze"})
    Flag.objects.update(state="accepted")
    text = b"".join(client.get("/flags.csv").streaming_content).decode()
    found = sorted(line.split(",")[0] for line in text.splitlines()[1:])
    assert found == sorted([f"a_b_{chips[0].key}", f"a_b_{chips[1].key}", "c"])


def test_what_is_said_of_a_private_chip_stays_private(showcase, client):
    files = [("a.png", pictures.png(1))]
    private = showcase.run(files, private="1").placements.get().chip
    public = showcase.run(files).placements.get().chip
    for chip, said in ((private, "our own field"), (public, "seen by all")):
        client.post(f"/chip/{chip.key}/flag/", {"label": "haze", "comment": said})
    Flag.objects.update(state="accepted")
    pages = [client.get(c.get_absolute_url()).content.decode() for c in (private, public)]
    assert ["our own field" in page for page in pages] == [True, False]
    assert ["seen by all" in page for page in pages] == [False, True]
    assert b"".join(client.get("/flags.csv").streaming_content).count(b"haze") == 1


def test_a_visitor_may_say_that_the_labels_are_right(showcase, client):
    showcase.run([("a.png", pictures.png(1))])
    chip = Chip.objects.get()
    form = client.get(chip.get_absolute_url()).content.decode().split('id="right"')[1]
    given = re.findall(r'name="label" value="(\w+)"', form.split("</form>")[0])
    assert label_sets.mask(given) == chip.labels != 0
    assert client.post(f"/chip/{chip.key}/flag/", {"label": given}).status_code == 302
    assert Flag.objects.get().labels == chip.labels


def test_a_flag_without_labels_is_not_kept(showcase, client):
    showcase.run([("a.png", pictures.png(1))])
    client.post(f"/chip/{Chip.objects.get().key}/flag/", {"comment": "just wrong"})
    assert not Flag.objects.exists()


def test_downloads_hold_every_chip_with_its_probabilities(showcase, client):
    import csv
    import io
    import json

    batch = showcase.run([(f"a b{i}.png", pictures.png(i)) for i in range(3)])
    text = b"".join(client.get(f"/batch/{batch.token}/labels.csv").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["image_name", "tags", *LABELS]
    assert [row["image_name"] for row in rows] == ["a_b0", "a_b1", "a_b2"]
    data = json.loads(b"".join(client.get(f"/batch/{batch.token}/labels.json").streaming_content))
    assert data["state"] == "done"
    for row, entry, place in zip(rows, data["chips"], batch.placements.order_by("pk"), strict=True):
        own = Prediction.unpack(place.prediction.probability)
        assert row["tags"].split() == entry["tags"] == label_sets.names(place.prediction.labels)
        assert np.allclose([float(row[n]) for n in LABELS], own, atol=1e-6)
        assert np.allclose([entry["probability"][n] for n in LABELS], own, atol=1e-6)


def test_files_of_the_same_name_are_told_apart(showcase, client):
    import csv
    import io
    import json

    packed = [(f"{folder}/1.png", pictures.png(i)) for i, folder in enumerate("abc")]
    sent = [("1.png", pictures.png(3)), ("pack.zip", pictures.archive(packed))]
    sent += [("m.png", pictures.png(4, 512)), ("m_r000_c001.png", pictures.png(5))]
    sent += [("x y.png", pictures.png(6)), ("x_y.png", pictures.png(7))]
    batch = showcase.run(sent)
    text = b"".join(client.get(f"/batch/{batch.token}/labels.csv").streaming_content).decode()
    rows = {row["image_name"]: row["tags"] for row in csv.DictReader(io.StringIO(text))}
    assert sorted(rows) == [
        "1", "1_2", "1_3", "1_4",
        "m_r000_c000", "m_r000_c001", "m_r000_c001_2", "m_r001_c000", "m_r001_c001",
        "x_y", "x_y_2",
    ]  # fmt: skip
    data = json.loads(b"".join(client.get(f"/batch/{batch.token}/labels.json").streaming_content))
    page = client.get(f"/api/v1/batches/{batch.token}/chips").json()
    for entries in (data["chips"], page["chips"]):
        assert {e["image_name"]: " ".join(e["tags"]) for e in entries} == rows


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "b", "a_r000_c001", "b_r000_c001_2"])))
def test_distinct_names_are_distinct_and_the_first_keeps_its_own(given_names):
    found = filenames.distinct(given_names)
    assert len(set(found)) == len(given_names)
    assert found[:1] == given_names[:1]
    assert all(new.startswith(old) for new, old in zip(found, given_names, strict=True))
    # What came first is called the same when more comes.
    assert filenames.distinct(given_names[:3]) == found[:3]
    assert filenames.distinct(["a"] * 5000)[-1] == "a_5000"


def test_an_empty_batch_downloads_as_valid_json(showcase, client):
    import json

    batch = showcase.run([("a.png", b"nothing")])
    data = b"".join(client.get(f"/batch/{batch.token}/labels.json").streaming_content)
    assert json.loads(data)["chips"] == []


def test_a_long_name_keeps_its_end():
    from showcase.templatetags.showcase import middle

    assert middle("scene_000023") == "scene_000023"
    assert middle("x" * 18) == "x" * 18
    assert middle("river_mosaic_r001_c002") == "river_mo…r001_c002"
