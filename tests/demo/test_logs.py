"""Structured logs: one JSON object a line, and nobody's private address in any of them."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys

import pictures
import pytest
from conftest import SITE
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client
from django.utils.module_loading import import_string
from showcase.models import Chip
from showcase.web.logs import JsonFormatter


def line(message: str, *values, fault=None, **extra) -> str:
    trace = (type(fault), fault, fault.__traceback__) if fault else None
    logger = logging.getLogger("showcase.test")
    record = logger.makeRecord("showcase.test", 30, "f", 1, message, values, trace, extra=extra)
    return JsonFormatter().format(record)


def test_a_line_is_one_json_object_with_what_was_given():
    text = line("sent %d", 3, batch=7, title='a\n{"level": "error"}', where=SITE, 词="水")
    assert "\n" not in text  # a visitor's text begins no line of its own
    entry = json.loads(text)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "warning",
        "logger": "showcase.test",
        "event": "sent 3",
        "batch": 7,
        "title": 'a\n{"level": "error"}',
        "where": str(SITE),
        "词": "水",
    }


def test_an_exception_brings_its_trace():
    try:
        raise ValueError("/batch/abcdefghijklmnopqrstuv/ broke")
    except ValueError as error:
        entry = json.loads(line("failed", fault=error))
    assert "test_an_exception_brings_its_trace" in entry["trace"]
    assert entry["trace"].endswith("ValueError: /batch/abcd…/ broke")


@pytest.mark.parametrize(
    "path",
    ["/batch/{}/", "/batch/{}/files/", "/api/v1/batches/{}/chips", "/chip/{}/thumb.image",
     "/api/v1/chips/{}", "http://site/batch/{}", "[Errno 28] 'files/chips/{:.2}/{}.thumb'"],
)  # fmt: skip
def test_addresses_are_cut_short(path):
    token = "a-B_cdefghijklmnop0123"
    text = line(path.format(token, token), path=path.format(token, token))
    assert token not in text
    assert "…" in text
    plain = "batch submitted, 12 chips/s, /gallery/?batch=, chip/thumb"
    assert json.loads(line(plain))["event"] == plain


@pytest.fixture
def written():
    """Everything that the site's own handler would write while the test runs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(import_string(django_settings.LOGGING["formatters"]["json"]["()"])())
    loggers = [logging.getLogger(name) for name in ("", "showcase", "django")]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel("INFO")
    yield lambda: [json.loads(text) for text in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_no_line_holds_the_address_of_a_private_batch(showcase, client, written, monkeypatch):
    batch = showcase.run([("a.png", pictures.png(1))], private="1")
    key = Chip.objects.get().key
    paths = [f"/batch/{batch.token}/", f"/chip/{key}/"]

    def locked(*args):
        raise OperationalError("database is locked")

    for path in paths:
        assert client.get(path).status_code == 200
        assert Client(enforce_csrf_checks=True).post(f"{path}delete/").status_code == 403
        assert client.get(f"{path}nowhere").status_code == 404
    from showcase.web.views import batches, chips

    monkeypatch.setattr(batches, "_context", locked)
    monkeypatch.setattr(chips, "bars", locked)
    for path in paths:
        assert client.get(path).status_code == 503
    lines = written()
    assert {"showcase.requests", "django.request", "django.security.csrf"} <= {
        entry["logger"] for entry in lines
    }
    requests = [e for e in lines if e["logger"] == "showcase.requests" and e["event"] == "request"]
    assert {"method", "view", "status", "milliseconds"} <= set(requests[0])
    assert {e["status"] for e in requests} == {200, 302, 403, 404, 503}
    said = json.dumps(lines)
    assert batch.token not in said
    assert key not in said
    assert "127.0.0.1" not in said  # nor a visitor's address


def test_gunicorns_own_lines_are_json_too(tmp_path):
    """A worker that cannot start is what it has most to say about."""
    (tmp_path / "broken.py").write_text("raise RuntimeError  # /batch/abcdefghijklmnopqrstuv/")
    env = os.environ | {"SHOWCASE_BIND": "127.0.0.1:0", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "gunicorn", "-c", str(SITE / "config/gunicorn.py")]
    done = subprocess.run(
        [*command, "broken:app"], cwd=SITE, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    lines = [json.loads(text) for text in done.stderr.splitlines() if text]
    assert {entry["logger"] for entry in lines} == {"gunicorn.error"}
    assert any("RuntimeError  # /batch/abcd…/" in entry.get("trace", "") for entry in lines)
