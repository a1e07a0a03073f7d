"""The secret key of a fresh site, made by whichever process starts first."""

from __future__ import annotations

import os
import threading

import pytest
from config import environment


def test_processes_that_start_together_have_one_whole_key(tmp_path, monkeypatch):
    """`paper demo` starts the worker and the web server on an empty folder at the same time."""
    make, found, threads = environment.secrets.token_urlsafe, [], []
    ready = threading.Barrier(4)

    def slow(size):
        ready.wait(20)  # each is about to write its own: the key file may be there, but empty
        return make(size)

    def start():
        try:
            found.append(environment.secret_key(tmp_path / "var"))
        except Exception as error:
            found.append(error)

    monkeypatch.setattr(environment.secrets, "token_urlsafe", slow)
    for _ in range(4):
        threads.append(threading.Thread(target=start))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len({str(key) for key in found}) == 1
    assert len(found[0]) > 60
    (path,) = (tmp_path / "var").iterdir()  # nothing is left beside it
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == found[0]


def test_a_process_that_comes_while_another_writes_does_not_read_half(tmp_path, monkeypatch):
    inner, make = [], environment.secrets.token_urlsafe

    def other_process(size):
        monkeypatch.setattr(environment.secrets, "token_urlsafe", make)
        inner.append(environment.secret_key(tmp_path))
        return make(size)

    monkeypatch.setattr(environment.secrets, "token_urlsafe", other_process)
    assert environment.secret_key(tmp_path) == inner[0]


def test_a_file_system_without_links_has_a_key_too(tmp_path, monkeypatch):
    def link(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    key = environment.secret_key(tmp_path)
    assert len(key) > 60
    assert environment.secret_key(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_that_is_too_short_is_said(tmp_path):
    (tmp_path / "secret_key").write_text("short")
    with pytest.raises(environment.ImproperlyConfigured, match="too short"):
        environment.secret_key(tmp_path)
