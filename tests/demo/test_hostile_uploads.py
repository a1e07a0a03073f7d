"""Nothing an uploader sends is trusted: one test for each way of the list."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pictures
import pytest
from conftest import DECODER
from PIL import Image, PngImagePlugin
from showcase import filenames, storage
from showcase.decoder import client as decoder_client
from showcase.decoder import images as formats
from showcase.decoder.answers import Away, Head, Member, Refused
from showcase.decoder.client import Decoder
from showcase.models import Batch, Chip, Placement, Upload

pytestmark = pytest.mark.django_db


def reason(showcase, data: bytes, name: str = "a.png") -> str:
    """What becomes of one file sent beside a good one: its reason, the good one unharmed."""
    batch = showcase.run([(name, data), ("good.png", pictures.png(1))])
    assert batch.state == "done"
    assert batch.chips_labelled >= 1
    good = Upload.objects.get(batch=batch, name="good")
    assert good.state == "read"
    return Upload.objects.filter(batch=batch).exclude(pk=good.pk).order_by("pk").first().code


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", id="svg"),
        pytest.param(b"<!doctype html><script>alert(1)</script>", id="html"),
        pytest.param(b"GIF89a" + bytes(100), id="gif"),
        pytest.param(b"%PDF-1.7\n", id="pdf"),
        pytest.param(b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40), id="webp"),
        pytest.param(b"\x7fELF" + bytes(200), id="program"),
        pytest.param(b"#!/bin/sh\n", id="script"),
        pytest.param(b"\0" * 500, id="zeros"),
        pytest.param(b"<VRTDataset rasterXSize='9' rasterYSize='9'/>", id="vrt"),
    ],
)
def test_the_format_is_judged_by_content(showcase, data):
    assert reason(showcase, data, "looks_honest.jpg") == "not_a_picture"


def test_a_picture_over_the_pixel_ceiling_is_not_decoded(showcase, settings):
    settings.SHOWCASE["MAX_MEGAPIXELS"] = 1
    assert reason(showcase, pictures.png_bomb(2000)) == "too_many_pixels"


def test_a_decompression_bomb_within_the_ceiling_meets_the_memory_limit(showcase, settings):
    settings.SHOWCASE["MAX_MEGAPIXELS"] = 400
    settings.SHOWCASE["READ_MEGABYTES"] = 512
    DECODER.close()  # the next child starts under the lower limit
    assert reason(showcase, pictures.png_bomb(12_800)) in ("memory", "crashed")
    DECODER.close()


def test_a_decoder_that_takes_too_long_is_ended(showcase, settings):
    settings.SHOWCASE["MAX_MEGAPIXELS"] = 400
    settings.SHOWCASE["READ_SECONDS"] = 0.1
    decoder = Decoder()
    with pytest.raises(Refused, match="time"):
        list(decoder.read(pictures.png_bomb(16_000), chips=10**6))
    assert decoder.child is None


def test_a_decoder_that_says_nothing_is_ended(settings, monkeypatch):
    """One that was taken over may sleep: that costs no processor time."""
    settings.SHOWCASE["READ_SECONDS"] = 0.1
    decoder = Decoder()
    try:
        list(decoder.read(pictures.png(1), chips=1))
        decoder.child.send_signal(signal.SIGSTOP)
        with pytest.raises(Refused, match="time"):
            list(decoder.read(pictures.png(1), chips=1))
    finally:
        decoder.close()


@pytest.mark.parametrize("made", [pictures.png, pictures.jpeg])
def test_a_polyglot_leaves_only_its_pixels(showcase, made):
    script = b"<script>alert(1)</script>" + pictures.archive([("evil.sh", b"rm -rf /")])
    batch = showcase.run([("a.png", made(3) + script)])
    assert batch.chips_labelled == 1
    for name in showcase.stored():
        data = storage.read(name)
        assert b"script" not in data
        assert b"PK\x03\x04" not in data


def test_metadata_and_location_do_not_survive(showcase):
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"  # ImageDescription
    exif.get_ifd(0x8825)[2] = (3.0, 8.0, 0.0)  # GPSLatitude
    exif.get_ifd(0x8825)[1] = "S"
    data = pictures.jpeg(4, exif=exif, comment=b"secret place")
    assert b"script" in data
    showcase.run([("a.jpg", data)])
    kept = [storage.read(name) for name in showcase.stored()]
    assert len(kept) == 2  # original and thumb; the upload copy is gone
    for copy in kept:
        assert b"script" not in copy
        assert b"secret" not in copy
        assert not Image.open(io.BytesIO(copy)).getexif()


def test_text_chunks_of_a_png_do_not_survive(showcase):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "secret place", zip=False)
    buffer = io.BytesIO()
    Image.fromarray(pictures.pixels(5)).save(buffer, "PNG", pnginfo=info)
    showcase.run([("a.png", buffer.getvalue())])
    assert all(b"secret" not in storage.read(name) for name in showcase.stored())


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_file_is_refused_whole(showcase, kind, share):
    data = pictures.encode(pictures.pixels(6, 300), kind)
    assert reason(showcase, data[: int(share * len(data))]) in ("truncated", "broken")
    assert Placement.objects.count() == 1  # of the good file


def test_an_animated_png_is_refused(showcase):
    frames = [Image.fromarray(pictures.pixels(i)) for i in (1, 2, 3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    assert reason(showcase, buffer.getvalue()) == "animated"


def test_a_tiff_of_many_pages_is_refused(showcase):
    frames = [Image.fromarray(pictures.pixels(i)) for i in (1, 2, 3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    assert reason(showcase, buffer.getvalue()) == "animated"


def test_random_bytes_behind_every_magic_do_no_harm(showcase):
    rng = np.random.default_rng(0)
    files = [
        (f"{i}_{kind}.png", magic + rng.bytes(2000))
        for i, (magic, kind) in enumerate(formats.MAGIC)
    ]
    batch = showcase.run([*files, ("good.png", pictures.png(1))])
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 1, len(files))


# --- archives -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/evil.png", "/etc/evil.png", "..\\..\\evil.png", "C:\\evil.png"]
)
def test_a_member_that_climbs_out_of_the_folder_stays_packed(showcase, name, tmp_path):
    data = pictures.archive([(name, pictures.png(7)), ("fine.png", pictures.png(8))])
    batch = showcase.run([("a.zip", data)])
    assert (batch.chips_labelled, batch.files_failed) == (1, 1)
    assert Upload.objects.get(batch=batch, state="failed").code == "climbs"
    assert not list(tmp_path.parent.rglob("evil*"))


def test_a_link_in_an_archive_stays_packed(showcase):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    batch = showcase.run([("a.zip", pictures.archive([(link, b"/etc/passwd")]))])
    assert Upload.objects.get(batch=batch, state="failed").code == "link"


def test_an_archive_that_unpacks_to_gigabytes_is_stopped(showcase, settings):
    settings.SHOWCASE["MAX_BATCH_MB"] = 100
    data = pictures.archive([(f"{i}.png", bytes(4_000_000)) for i in range(60)])
    assert len(data) < 300_000
    assert reason(showcase, data, "a.zip") == "bomb"
    assert not Upload.objects.filter(parent__isnull=False).exists()


def test_an_archive_that_lies_about_all_its_sizes_is_stopped(settings):
    settings.SHOWCASE["MAX_BATCH_MB"] = settings.SHOWCASE["MAX_FILE_MB"] = 2
    data = pictures.archive([(f"{i}.png", bytes(1_900_000)) for i in range(30)])
    data = data.replace((1_900_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    items = list(DECODER.read(data, chips=100))
    assert sum(len(item.data) for item in items if isinstance(item, Member)) <= 2_000_000


def test_a_member_that_lies_about_its_size_is_cut_off(settings):
    settings.SHOWCASE["MAX_FILE_MB"] = 1
    data = bytearray(pictures.archive([("a.png", bytes(3_000_000))]))
    honest = (3_000_000).to_bytes(4, "little")
    lie = (1000).to_bytes(4, "little")
    data = data.replace(honest, lie)
    _head, member = DECODER.read(bytes(data), chips=100)
    assert member.reason in ("broken", "too_large", "not_a_picture")
    assert len(member.data) <= 1_000_000


def test_an_archive_in_an_archive_is_not_unpacked(showcase):
    inner = pictures.archive([("a.png", pictures.png(9))])
    batch = showcase.run([("a.zip", pictures.archive([("inner.zip", inner)]))])
    assert Upload.objects.get(batch=batch, parent__isnull=False).code == "nested"


def test_an_archive_of_too_many_files_is_refused(showcase):
    data = pictures.archive([(f"{i}.png", b"x") for i in range(5001)], zipfile.ZIP_STORED)
    assert reason(showcase, data, "a.zip") == "too_many_members"


def test_an_encrypted_member_stays_packed(showcase):
    data = bytearray(pictures.archive([("a.png", pictures.png(2))]))
    data[6] |= 1  # the flag in the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    batch = showcase.run([("a.zip", bytes(data))])
    assert Upload.objects.get(batch=batch, parent__isnull=False).code == "encrypted"


# --- names ----------------------------------------------------------------------------------------

NAMES = [
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "a\nSet-Cookie: x=1\r\n.png",
    "evil\u202egnp.exe",
    "\u200f\u2066hidden.png",
    "a" * 4000 + ".png",
    "../../../etc/passwd",
    "..\\..\\boot.ini",
    "=cmd|' /C calc'!A0.png",
    "+1+1.png",
    "@SUM(1).png",
    "\0.png",
    ".",
    "",
    "...png",
    "CON",
    "🛰️.png",
    "卫星图像.png",
]


@pytest.mark.parametrize("name", NAMES, ids=[str(i) for i in range(len(NAMES))])
def test_a_name_becomes_a_label_that_does_nothing(name):
    cleaned = filenames.clean(name)
    assert 1 <= len(cleaned) <= 120
    assert not set(cleaned) & set("<>\"'&/\\\n\r\0:|=+@`$;\u202e\u200f\u2066")
    assert cleaned[0] not in "=+-@\t."
    assert filenames.clean(cleaned) == cleaned


def test_letters_of_any_script_stay():
    assert filenames.clean("卫星图像 1.tif") == "卫星图像 1"
    assert filenames.clean("C:\\chips\\train_12.jpg") == "train_12"
    assert filenames.clean("folder/sub/façade_é.PNG") == "façade_é"


LONG = ("a" * 4000 + ".png", pictures.png(99))


def test_a_form_with_a_name_of_4000_characters_is_refused_cleanly(client, db):
    body, kind = pictures.form([LONG])
    assert client.generic("POST", "/", body, content_type=kind).status_code == 400


def test_hostile_names_reach_neither_disk_nor_page(showcase, client):
    short = [(name, pictures.png(i)) for i, name in enumerate(NAMES) if len(name) < 500]
    packed = pictures.archive(
        [(name or "x", data) for name, data in short if "\0" not in name] + [LONG]
    )
    body, kind = pictures.form([*short, ("a.zip", packed)])
    sent = client.generic("POST", "/", body, content_type=kind)
    assert sent.status_code == 302
    batch = showcase.work(Batch.objects.get())
    assert batch.chips_labelled >= 2 * len(NAMES) - 8  # some climb, some are no names at all
    assert {u.code for u in batch.uploads.filter(state="failed")} <= {"climbs"}
    page = client.get(batch.get_absolute_url()).content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "onerror=" not in page
    assert "\u202e" not in page
    for name in showcase.stored():
        assert name.startswith(("chips/", "uploads/"))
        assert set(name) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-."
        )
    csv = b"".join(client.get(f"{batch.get_absolute_url()}labels.csv").streaming_content).decode()
    assert not any(line[0] in "=+-@" for line in csv.splitlines())


def test_a_title_is_cleaned_like_a_name(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))], title="<b>bold</b>\u202e" + "x" * 500)
    assert "<" not in batch.title
    assert len(batch.title) <= 120
    assert b"<b>bold" not in client.get(batch.get_absolute_url()).content


# --- serving --------------------------------------------------------------------------------------


def test_pictures_are_served_under_our_name_and_type_only(showcase, client):
    batch = showcase.run([("evil.html", pictures.png(1))])
    chip = Chip.objects.get(placements__batch=batch)
    for kind, mime in (("original", "image/png"), ("thumb", "image/jpeg")):
        answer = client.get(f"/chip/{chip.key}/{kind}.image")
        assert answer.status_code == 200
        assert answer["Content-Type"] == mime
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert "evil" not in answer["Content-Disposition"]


def test_an_upload_copy_has_no_address(showcase, client):
    batch = showcase.batch([("a.png", pictures.png(1))])
    copy = batch.uploads.get().copy
    assert copy in showcase.stored()
    for path in (copy, f"media/{copy}", f"files/{copy}", f"static/{copy}", f"../{copy}"):
        assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("kind", ["../../secret_key", "original/../../x", "upload", "%2e%2e", ""])
def test_only_our_kinds_of_pictures_exist(showcase, client, kind):
    batch = showcase.run([("a.png", pictures.png(1))])
    key = Chip.objects.get(placements__batch=batch).key
    assert client.get(f"/chip/{key}/{kind}.image").status_code == 404


# --- the decoder's own cell -----------------------------------------------------------------------


@pytest.fixture
def decoder():
    decoder = Decoder()
    yield decoder
    decoder.close()


def test_the_decoder_knows_no_secrets_and_has_limits(decoder, monkeypatch):
    monkeypatch.setenv("DATABASE_URL_FOR_TEST", "secret")
    list(decoder.read(pictures.png(1), chips=10))
    pid = decoder.child.pid
    with open(f"/proc/{pid}/environ", "rb") as handle:
        assert b"secret" not in handle.read()
    with open(f"/proc/{pid}/limits") as handle:
        limits = {line[:26].strip(): line[26:].split()[0] for line in handle}
    assert limits["Max file size"] == "0"
    assert int(limits["Max address space"]) <= 2048 * 2**20
    assert limits["Max core file size"] == "0"
    assert limits["Max processes"] == "0"
    assert limits["Max open files"] == "64"
    if sys.platform == "linux":  # nor does it look into this process
        assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE


def test_another_batch_has_another_child(decoder):
    """Whoever took the decoder over by one of his files sees nobody else's."""
    children = []
    for batch in (1, 1, 2):
        decoder.serve(batch)
        list(decoder.read(pictures.png(1), chips=1))
        children.append(decoder.child.pid)
    assert children[0] == children[1] != children[2]


def test_what_the_kernel_lacks_is_said(client, monkeypatch, decoder):
    from showcase.models import Worker

    Worker.objects.create(name="w", host="h", pid=1, ready=True)
    assert client.get("/readyz").json()["checks"]["sandbox"] == "ok"
    Worker.objects.update(unprotected="landlock seccomp")
    assert client.get("/readyz").json()["checks"]["sandbox"] == "lacks landlock seccomp"


HEAD = {"kind": "png", "width": 64, "height": 64, "rows": 1, "columns": 1}
CHIP = {"chip": [0, 0, 64, 64], "sha256": "a" * 64, "shape": [1, 1, 3], "bytes": 3}
LIES = {
    "an unknown record": [{}],
    "no head": [{"head": {**HEAD, "stolen": 1}}],
    "corners of no number": [{"head": {**HEAD, "corners": [["x", 1]] * 4}}],
    "corners of another shape": [{"head": {**HEAD, "corners": [1, 2]}}],
    "more bytes than sent": [{**CHIP, "bytes": 2**40}],
    "less than none": [{**CHIP, "bytes": -3}],
    "another shape": [{**CHIP, "shape": [2, 2, 3]}],
    "no size": [{**CHIP, "chip": [0, 0, -64, 64]}],
    "a huge size": [{**CHIP, "chip": [0, 0, 2**40, 64]}],
    "no hash": [{**CHIP, "sha256": "a"}],
    "text": [{**CHIP, "chip": ["a", 0, 1, 1]}],
    "no record": ["text"],
    "no list": 7,
    "nothing": [],
    "head after head": [{"head": HEAD}],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_whatever_a_lying_child_says_is_a_refusal(decoder, monkeypatch, lie):
    list(decoder.read(pictures.png(1), chips=1))
    monkeypatch.setattr(decoder, "_frame", lambda most: (lie, memoryview(b"abc")))
    with pytest.raises(Refused, match="crashed"):
        list(decoder.read(pictures.png(1), chips=1))
    assert decoder.child is None


def test_a_decoder_that_cannot_start_is_away_and_leaves_no_file_open(decoder, monkeypatch):
    monkeypatch.setattr(decoder_client.subprocess, "Popen", lambda *_, **__: os.stat("/none/such"))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        with pytest.raises(Away):
            list(decoder.read(pictures.jpeg(1), chips=1))
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before


def test_chips_that_wait_hold_only_their_own_pixels(decoder):
    items = list(decoder.read(pictures.png(1, 512), chips=9))
    assert len(items) == 5
    for item in items:
        if not isinstance(item, Head):
            assert len(item.pixels.base.base) == item.pixels.size


#: What somebody who took the decoder over would try; answers of `try_out` are 1 where it worked.
BREAK_OUT = """
import json, os, socket, sys, threading
sys.path[:0] = [{root!r}]; sys.path += [{here!r}]
from decoder import process
missing = process.enter(2048)
secret, written = {secret!r}, {written!r}
def try_out(step):
    try:
        step()
    except BaseException as error:
        return repr(error)
    return 1
def fork():
    if os.fork() == 0:
        os._exit(0)
tried = {{
    "parent's environment": try_out(lambda: open(f"/proc/{{os.getppid()}}/environ", "rb").read(1)),
    "parent's memory": try_out(lambda: open(f"/proc/{{os.getppid()}}/mem", "rb")),
    "key file": try_out(lambda: open(secret).read()),
    "delete": try_out(lambda: os.unlink(secret)),
    "write": try_out(lambda: open(written, "w")),
    "folder": try_out(lambda: os.mkdir(written)),
    "socket": try_out(lambda: socket.socket()),
    "local socket": try_out(lambda: socket.socketpair()),
    "fork": try_out(fork),
    "program": try_out(lambda: os.execv("/bin/true", ["true"])),
    "signal": try_out(lambda: os.kill(os.getppid(), 0)),
}}
print(json.dumps([missing, tried]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the layers are Linux's")
def test_whoever_takes_the_decoder_over_gets_nowhere(tmp_path):
    here = Path(storage.__file__).parent
    secret, written = tmp_path / "secret_key", tmp_path / "written"
    secret.write_text("secret")
    script = BREAK_OUT.format(
        root=str(here.parents[1]), here=str(here), secret=str(secret), written=str(written)
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", script],
        capture_output=True, text=True, env={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing, tried = json.loads(done.stdout)
    if "seccomp" in missing and "landlock" in missing:
        pytest.skip(f"this kernel lacks {missing}")
    assert {what: answer for what, answer in tried.items() if answer == 1} == {}
    assert secret.read_text() == "secret"
    assert not written.exists()
