"""The lines that the API's page gives to copy, copied and run against a real site."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys

import pictures
import pytest
from real_site import RealSite

pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with RealSite(tmp_path_factory.mktemp("site"), SHOWCASE_EXAMPLES="0") as site:
        site.web()
        site.worker()
        yield site


@pytest.fixture(scope="module")
def key(site) -> str:
    return site.manage("create_api_key", "tests").strip().splitlines()[-1]


def snippet(site, name: str) -> str:
    """What the button copies: the text of the page's own element."""
    page = site.client.get("/api/").text
    code = re.search(rf'<pre id="code-{name}"[^>]*><code>(.*?)</code>', page, re.DOTALL)[1]
    return html.unescape(code)


def run(command: list[str], folder) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_send_ask_and_fetch(site, key, tmp_path):
    (tmp_path / "one.jpg").write_bytes(pictures.jpeg(1))
    (tmp_path / "two.tif").write_bytes(pictures.encode(pictures.pixels(2), "TIFF"))
    lines = [text for text in snippet(site, "curl").splitlines() if text.strip()]
    export, predict, send, ask, fetch = (text for text in lines if not text.startswith("#"))
    assert "pk_…" in export
    export = export.replace("pk_…", key)
    said = run(["sh", "-ec", f"{export}\n{predict} --silent"], tmp_path)
    (chip,) = json.loads(said)
    assert (chip["image_name"], chip["state"]) == ("one", "labelled")
    said = run(["sh", "-ec", f"{export}\n{send} --silent"], tmp_path)
    answer = json.loads(said)
    assert [one["accepted"] for one in answer["taken"]] == [True, True]
    site.finished(answer["token"])
    status = run(["sh", "-ec", f"{ask.replace('TOKEN', answer['token'])} --silent"], tmp_path)
    assert (json.loads(status)["state"], json.loads(status)["labelled"]) == ("done", 2)
    page = run(["sh", "-ec", f"{fetch.replace('TOKEN', answer['token'])} --silent"], tmp_path)
    assert [chip["image_name"] for chip in json.loads(page)["chips"]] == ["one", "two"]


def test_the_python_lines_print_the_labels_of_a_folder(site, key, tmp_path):
    (tmp_path / "chips").mkdir()
    for i in range(12):
        (tmp_path / f"chips/{i:02}.jpg").write_bytes(pictures.jpeg(10 + i))
    code = snippet(site, "python").replace("pk_…", key)
    said = run([sys.executable, "-c", code], tmp_path).splitlines()
    assert "100 %" in said
    rows = [text.split() for text in said if not text.endswith("%")]
    assert [name for name, *_ in rows] == [f"{i:02}" for i in range(12)]
    from paperlib.labels import LABELS

    assert all(tags and set(tags) <= set(LABELS) for _, *tags in rows)
