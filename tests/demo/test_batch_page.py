"""A batch's own page: what it says while it waits, of what failed, and where it leads."""

from __future__ import annotations

from datetime import timedelta

import pictures
import pytest
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from showcase import storage
from showcase.models import Batch, Chip, Flag, Placement, Upload, Worker
from showcase.services import chip_images, corrections, deletion, exports, progress, visibility
from showcase.worker import housekeeping

pytestmark = pytest.mark.django_db


def test_chips_of_a_mosaic_that_failed_are_drawn_so(showcase, client):
    batch = showcase.run([("big.png", pictures.png(1, 512))])
    upload = batch.uploads.get()
    first = upload.placements.first()
    Placement.objects.filter(pk=first.pk).update(state="failed", code="predictor", prediction=None)
    page = client.get(f"/batch/{batch.token}/picture/{upload.pk}/").content.decode()
    assert page.count('<g class="failed"><title>The model could not predict this chip.') == 1
    assert page.count('<a href="/chip/') == 3


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


def test_looking_again_is_light_where_nothing_is_new(showcase, client):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)])
    path = f"{batch.get_absolute_url()}progress/"
    first = client.get(path)
    assert 'hx-trigger="every 1s"' in first.content.decode()
    assert first["Cache-Control"] == "private, no-cache"
    again = client.get(path, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    # Somebody else's page, or one in another language, is another.
    other = {"if-none-match": first["ETag"]}
    assert Client().get(path, headers=other).status_code == 200
    assert client.get(path, headers=other | {"accept-language": "zh"}).status_code == 200
    Worker.objects.create(name="w", host="h", pid=1, ready=True)
    assert client.get(path, headers=other).status_code == 200
    later = client.get(path)["ETag"]
    Batch.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    slower = client.get(path, headers={"if-none-match": later})
    assert 'hx-trigger="every 2s"' in slower.content.decode()
    showcase.work(batch)
    done = client.get(path, headers={"if-none-match": slower["ETag"]})
    assert done.status_code == 200
    assert "hx-trigger" not in done.content.decode()  # it asks no more


def test_trying_again_is_offered_where_something_can_be(showcase, client):
    members = [("one.png", pictures.png(1)), ("../up.png", pictures.png(2))]
    batch = showcase.run([("pack.zip", pictures.archive(members)), ("bad.png", b"nothing")])
    bad = Upload.objects.filter(batch=batch, name="bad")
    assert bad.get().copy == ""  # no new try would read it
    bad.update(copy="uploads/bad", code="time")
    offer = "Try the failed ones again"
    assert offer in shown(client, batch)
    bad.update(copy="")
    page = shown(client, batch)
    assert "points outside its folder" in page
    assert offer not in page
    said = client.post(f"/batch/{batch.token}/retry/", follow=True).content.decode()
    assert "Nothing of this batch can be tried again." in said
    assert "are tried again" not in said
    Placement.objects.filter(batch=batch).update(state="failed", code="predictor", prediction=None)
    copy = batch.placements.get().upload
    copy.copy = "uploads/one"
    copy.save()
    storage.write(copy.copy, pictures.png(1))
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


@pytest.fixture
def queue(showcase):
    """Three batches in a row, the first of them running, and a worker that needs 2 s a chip."""
    batches = [showcase.batch([(f"{i}{j}.png", pictures.png(1)) for j in range(3)]) for i in "abc"]
    for age, batch in enumerate(batches):
        batch.queued_at = timezone.now() - timedelta(seconds=60 - age)
        batch.save()
    counts = {"files": 10, "files_read": 4, "files_failed": 1, "chips": 20}
    counts |= {"chips_labelled": 6, "chips_failed": 2}
    Batch.objects.filter(pk=batches[0].pk).update(state="running", **counts)
    worker = Worker.objects.create(name="w", host="h", pid=1, ready=True, chip_seconds=2)
    for batch in batches:
        batch.refresh_from_db()
    return batches, worker


def test_place_in_the_queue_and_time_left_are_those_of_the_queue(queue, client):
    batches, worker = queue
    running, second, third = map(progress.of, batches)
    # Of the first are left: 20 chips less 6 labelled and 2 failed, and 5 files not read yet.
    assert (running.left, running.ahead, running.seconds) == (17, 0, 34)
    assert (second.left, second.ahead, second.seconds) == (3, 1, 2 * (17 + 3))
    assert (third.left, third.ahead, third.seconds) == (3, 2, 2 * (17 + 3 + 3))
    page = shown(client, batches[2])
    assert "<dt>Place in the queue</dt><dd>3</dd>" in page
    assert "<dt>Time left</dt><dd>≈ 46 s</dd>" in page
    told = client.get(f"/api/v1/batches/{batches[2].token}").json()
    assert (told["batches_ahead"], told["seconds_left"]) == (2, 46)
    # Another worker takes from the queue as well, but works on this batch no faster.
    Worker.objects.create(name="v", host="h", pid=2, ready=True, chip_seconds=2)
    assert progress.of(batches[2]).seconds == 2 * ((17 + 3) / 2 + 3)
    assert progress.of(batches[0]).seconds == 34
    worker.chip_seconds = 20
    worker.save()
    assert "≈ 2 min" in shown(client, batches[2])  # (10 + 3) * 11 s
    batches[0].state = "cancelled"
    batches[0].save()
    assert progress.of(batches[2]).ahead == 1


def test_no_time_is_promised_without_a_worker_or_its_speed(queue, client):
    batches, _ = queue
    for changes in (
        {"chip_seconds": 0},
        {"chip_seconds": 2, "ready": False},
        {"ready": True, "seen_at": timezone.now() - timedelta(hours=1)},
    ):
        Worker.objects.update(**changes)
        assert progress.of(batches[1]).seconds is None
        assert "<dt>Time left</dt><dd>–</dd>" in shown(client, batches[1])


def test_who_comes_back_finds_the_batch_and_all_that_was_done_meanwhile(showcase, client):
    """Nothing of a batch hangs on the page that waits for it."""
    files = [(f"{i}.png", pictures.png(i)) for i in range(12)]
    batch = showcase.batch(files, title="Mine")
    assert 'data-state="queued"' in shown(client, batch)
    showcase.work(batch)  # with no page open
    home = client.get("/").content.decode()
    own = home.split('id="own"')[1].split("</section>")[0]
    assert f'href="/batch/{batch.token}/"' in own
    assert ">Mine</a>" in own
    assert "12 chips" in own
    assert "Done" in own
    page = shown(client, batch)
    assert 'data-state="done"' in page
    assert page.count("/thumb.image") == 12
    # Another browser has no batches of its own, but the address works there too.
    other = Client()
    assert 'id="own"' not in other.get("/").content.decode()
    assert shown(other, batch).count("/thumb.image") == 12
    batch.delete()
    assert 'id="own"' not in client.get("/").content.decode()


@pytest.mark.parametrize("private", [False, True])
def test_a_batch_whose_time_is_over_is_gone_before_any_sweep(showcase, client, private):
    files = [("a.png", pictures.png(1)), ("big.png", pictures.png(2, 512))]
    batch = showcase.run(files, days="1", **({"private": "1"} if private else {}))
    own, api = batch.get_absolute_url(), f"/api/v1/batches/{batch.token}"
    upload = batch.uploads.get(name="big")
    paths = [own, f"{own}progress/", f"{own}picture/{upload.pk}/", f"{own}labels.csv"]
    paths += [f"{own}labels.json", api, f"{api}/chips"]
    assert {client.get(path).status_code for path in paths} == {200}
    filtered = f"/gallery/?batch={batch.token}"
    assert (batch.token in client.get("/gallery/").content.decode()) is not private
    chip = Chip.objects.first()
    assert (batch.token in client.get(chip.get_absolute_url()).content.decode()) is not private
    Batch.objects.update(vanishes_at=timezone.now() - timedelta(seconds=1))
    assert {client.get(path).status_code for path in paths} == {404}
    for step in ("files", "submit", "cancel", "retry"):
        assert client.post(f"{own}{step}/").status_code == 404
    # Its chips, too, though no worker is there to delete them.
    assert "/chip/" not in client.get("/gallery/").content.decode().split("<main")[1]
    assert client.get(chip.get_absolute_url()).status_code == 404
    for path in ("/", filtered):
        assert batch.token not in client.get(path).content.decode().split("<main")[1]
    assert not Chip.objects.filter(shown=True).exists()


def test_batches_opened_at_the_same_time_both_belong_to_the_browser(client, showcase):
    """Both requests have read the session before either has written it."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.test import RequestFactory
    from showcase.services import uploads
    from showcase.web import ownership

    showcase.batch([("a.png", pictures.png(1))])
    key = client.cookies["sessionid"].value
    requests = [RequestFactory().get("/") for _ in range(2)]
    for request in requests:
        request.session = SessionStore(key)
        request.session.load()
    batches = [uploads.open_batch(owner=ownership.owner(request)) for request in requests]
    for request in requests:
        request.session.save()
    for batch in batches:
        assert client.post(f"{batch.get_absolute_url()}cancel/").status_code == 302
    home = client.get("/").content.decode()
    assert all(batch.token in home for batch in batches)
    assert Client().post(f"{batches[0].get_absolute_url()}cancel/").status_code == 403
    nobodys = uploads.open_batch()  # through the API, say
    assert client.post(f"{nobodys.get_absolute_url()}cancel/").status_code == 403
    assert Client().post(f"{nobodys.get_absolute_url()}cancel/").status_code == 403


def test_the_sites_own_pictures_run_by_one_click(showcase, client):
    page = client.get("/").content.decode()
    for name in ("river", "all"):
        assert f'name="example" value="{name}"' in page
        assert name == "all" or f"examples/{name}.jpg" in page
    one = client.post("/try/", {"example": "river"})
    batch = Batch.objects.get()
    assert one["Location"] == batch.get_absolute_url()
    assert (batch.private, batch.files, batch.state) == (True, 1, "queued")
    assert batch.vanishes_at < timezone.now() + timedelta(days=2)
    assert showcase.work(batch).chips_labelled == 1
    assert client.post("/try/", {"example": "../../secret_key"}).status_code == 404
    client.post("/try/", {"example": "all"})
    assert showcase.work(Batch.objects.latest("pk")).chips_labelled == 6


def test_the_owner_changes_title_and_time(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))], title="first", days="1")
    path = f"{batch.get_absolute_url()}change/"
    assert Client().post(path, {"title": "theirs"}).status_code == 403
    assert path not in shown(Client(), batch)
    assert path in shown(client, batch)
    assert client.post(path, {"title": "<b>second</b>", "days": "30"}).status_code == 302
    batch.refresh_from_db()
    assert batch.title == "b second /b"
    assert batch.vanishes_at > timezone.now() + timedelta(days=29)
    ends = batch.vanishes_at
    client.post(path, {"title": "third", "days": ""})
    batch.refresh_from_db()
    assert (batch.title, batch.vanishes_at) == ("third", ends)
    client.post(path, {"title": "third", "days": "0"})
    batch.refresh_from_db()
    assert batch.vanishes_at is None


def test_a_batch_shows_how_often_it_has_each_label(showcase, client):
    batch = showcase.run([(f"{i}.png", pictures.png(i)) for i in range(6)])
    page = shown(client, batch).split('id="labels"')[1].split("</details>")[0]
    from showcase import label_sets

    for name in {n for c in Chip.objects.all() for n in label_sets.names(c.labels)}:
        count = sum(name in label_sets.names(chip.labels) for chip in Chip.objects.all())
        row = page.split(f">{label_sets.title(name)}</th>")[1].split("</tr>")[0]
        assert f'<td class="number now">{count}</td>' in row


def test_the_sites_numbers_are_given_where_the_operator_wants(showcase, client, settings):
    assert client.get("/metrics").status_code == 404
    settings.METRICS = True
    showcase.run([("a.png", pictures.png(1))])
    showcase.batch([("b.png", pictures.png(2))])
    text = client.get("/metrics").content.decode()
    found = dict(line.rsplit(" ", 1) for line in text.splitlines())
    assert (
        found['showcase_batches{state="done"}'] == found['showcase_batches{state="queued"}'] == "1"
    )
    assert (found["showcase_chips"], found["showcase_upload_copies"]) == ("1", "1")
    assert float(found["showcase_upload_bytes"]) == len(pictures.png(2))
    assert found["showcase_workers"] == "0"


def seen(client, path: str) -> int:
    return client.get(path).status_code


def test_the_owner_makes_a_batch_private_and_public_again(showcase, client):
    """One chip is its own, one is in another's public batch, too, which loses nothing."""
    stranger = Client()
    theirs = type(showcase)(stranger).run([("theirs.png", pictures.png(2))])
    batch = showcase.run([("a.png", pictures.png(1)), ("b.png", pictures.png(2))])
    assert {place.chip.pk for place in batch.placements.all()} > {theirs.placements.get().chip.pk}
    own = batch.placements.get(upload__name="a").chip
    old = [batch.get_absolute_url(), own.get_absolute_url()]
    assert stranger.post(f"{old[0]}change/", {"private": "1"}).status_code == 403
    client.post(f"{old[0]}change/", {"title": "other"})
    batch.refresh_from_db()
    assert not batch.private  # nothing was said of it
    answer = client.post(f"{old[0]}change/", {"private": "1"})
    batch.refresh_from_db()
    assert (batch.private, answer["Location"]) == (True, batch.get_absolute_url())
    # What everybody knew leads nowhere any more, and the gallery holds the other's chip only.
    assert [seen(stranger, path) for path in old] == [404, 404]
    assert [chip.name for chip in Chip.objects.filter(shown=True)] == ["theirs"]
    chips = {place.upload.name: place.chip for place in batch.placements.all()}
    assert not any(chip.public or chip.shown for chip in chips.values())
    assert chips["b"].pk != theirs.placements.get().chip.pk
    assert all(place.prediction.chip_id == place.chip_id for place in batch.placements.all())
    # The picture of the one that is new is there at once, and drawn for good by the worker.
    assert seen(client, f"/chip/{chips['b'].key}/thumb.image") == 200
    showcase.draw(views=True)
    for chip in chips.values():
        assert seen(client, f"/chip/{chip.key}/dehazed.image") == 200
    client.post(f"{batch.get_absolute_url()}change/", {"private": "0"})
    batch.refresh_from_db()
    assert not batch.private
    assert batch.placements.get(upload__name="b").chip == theirs.placements.get().chip
    deletion.remove_retired()  # as after the commit
    assert Chip.objects.filter(shown=True).count() == Chip.objects.count() == 2
    assert seen(stranger, theirs.placements.get().chip.get_absolute_url()) == 200
    assert len(showcase.stored()) == 2 * 4  # nothing is left of what was private


def test_two_private_batches_of_one_owner_share_and_part(showcase, client):
    files = [("a.png", pictures.png(1))]
    one, two = showcase.run(files, private="1"), showcase.run(files, private="1")
    assert one.placements.get().chip == two.placements.get().chip
    client.post(f"{one.get_absolute_url()}change/", {"private": "0"})
    public, private = one.placements.get().chip, two.placements.get().chip
    assert (public.public, private.public, public.shown) == (True, False, True)
    client.post(f"{one.get_absolute_url()}change/", {"private": "1"})
    one.refresh_from_db()
    assert one.placements.get().chip == private
    deletion.remove_retired()
    assert Chip.objects.count() == 1


def test_what_shares_too_much_stays_as_it_is(showcase, client, monkeypatch):
    showcase.run([("a.png", pictures.png(1))])
    batch = showcase.run([("b.png", pictures.png(1))])
    monkeypatch.setattr(visibility, "MOST_SHARED", 0)
    client.post(f"{batch.get_absolute_url()}change/", {"private": "1"})
    batch.refresh_from_db()
    assert (batch.private, Chip.objects.count()) == (False, 1)
    assert "could not be made private" in shown(client, batch)


def test_a_batch_that_is_worked_on_stays_as_it_is(showcase, client):
    batch = showcase.batch([("a.png", pictures.png(1))])
    client.post(f"{batch.get_absolute_url()}change/", {"private": "1"})
    batch.refresh_from_db()
    assert not batch.private
    assert "could not be made private" in shown(client, batch)


KINDS = ("original", "thumb", "dehazed", "transmission")


def status(client, chip, kinds=KINDS):
    return {client.get(f"/chip/{chip.key}/{kind}.image").status_code for kind in kinds}


@pytest.mark.django_db(transaction=True)
def test_a_batch_made_private_while_its_pictures_are_drawn_keeps_them(
    showcase, client, monkeypatch
):
    batch = showcase.run([(f"{n}.png", pictures.png(n)) for n in (1, 2)], private="0")
    dehaze, asked = chip_images.dehaze, []

    def meanwhile(chip):
        if not asked:
            asked.append(client.post(f"/batch/{batch.token}/change/", {"private": "1"}))
        dehaze(chip)

    monkeypatch.setattr(chip_images, "dehaze", meanwhile)
    showcase.draw(views=True)
    assert asked[0].status_code == 302
    assert len(showcase.stored()) == 8
    for chip in Chip.objects.all():
        assert status(client, chip) == {200}


@pytest.mark.django_db(transaction=True)
def test_what_is_tried_again_and_deleted_leaves_nothing(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1)), ("bad.png", pictures.flat(13))], private="1")
    assert batch.chips_failed == 1
    assert client.post(f"/batch/{batch.token}/retry/").status_code == 302
    assert client.post(f"/batch/{batch.token}/delete/").status_code == 302
    showcase.sweep()
    assert showcase.stored() == []
    assert not Chip.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_pictures_stay_with_a_twin_that_has_nothing_to_draw_from(showcase, client):
    one, two = (showcase.run([("a.png", pictures.png(1))], private="0") for _ in range(2))
    showcase.draw()
    two = visibility.set_private(two, True)
    deletion.remove_batch(one)
    showcase.draw(views=True)
    showcase.sweep()
    chip = two.placements.get().chip
    assert status(client, chip) == {200}
    assert len(showcase.stored()) == 4


@pytest.mark.django_db(transaction=True)
def test_a_visitor_s_time_begins_anew_with_each_upload(showcase, client):
    showcase.send([("a.png", pictures.png(1))])
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
    showcase.send([("b.png", pictures.png(2))], days="30")
    newest = Batch.objects.latest("id")
    assert Session.objects.get().expire_date > newest.vanishes_at - timedelta(hours=1)


@pytest.mark.django_db(transaction=True)
def test_files_that_come_too_late_are_told_on_the_batch_s_page(client, showcase):
    opened = client.post("/upload/", {"days": "30"}).json()

    def add(*numbers, after):
        files = [SimpleUploadedFile(f"{n}.png", pictures.png(n)) for n in numbers]
        client.post(opened["files_url"], {"after": after, "files": files})

    add(1, 2, after=0)
    Batch.objects.update(touched_at=timezone.now() - timedelta(minutes=31))
    housekeeping.sweep()
    add(3, 4, after=2)
    client.post(opened["submit_url"])
    page = client.get(opened["url"]).content.decode()
    assert ">3: The batch is already being worked on.<" in page
    assert ">2: " not in page


@pytest.mark.django_db(transaction=True)
def test_a_correction_goes_along_when_a_batch_is_made_private(showcase, staff):
    one, two = (showcase.run([("a.png", pictures.png(1))], private="0") for _ in range(2))
    flag = Flag.objects.create(chip=Chip.objects.get(), labels=1 << 16)
    corrections.judge(Flag.objects.filter(pk=flag.pk), accepted=True, by=staff)
    before = list(exports.csv_rows(two))
    two = visibility.set_private(two, True)
    assert list(exports.csv_rows(two)) == before == list(exports.csv_rows(one))


@pytest.mark.django_db(transaction=True)
def test_what_has_had_its_time_is_shown_nowhere(showcase, client):
    showcase.run([("a.png", pictures.png(1))], private="1")
    chip = Chip.objects.get()
    Batch.objects.update(vanishes_at=timezone.now() - timedelta(days=2))
    assert client.get(f"/api/v1/chips/{chip.key}").status_code == 404
    assert status(client, chip, ("original", "thumb")) == {404}


def test_a_large_batch_is_deleted_in_as_many_statements_as_a_small_one(showcase):
    counts = []
    for size in (2, 9):
        files = [(f"{n}.png", pictures.png(100 * size + n)) for n in range(size)]
        batch = showcase.run(files, private="0")
        showcase.draw()
        with CaptureQueriesContext(connection) as found:
            deletion.remove_batch(batch)
        counts.append(len(found))
    assert counts[0] == counts[1]
