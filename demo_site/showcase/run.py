"""`paper demo`: migrations, one worker and the web server on loopback, ended together."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

from paperlib.utils.errors import PaperError

SITE = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """The settings of the site on loopback, unless the caller's environment says otherwise."""
    usual = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SHOWCASE_LOOPBACK": "1",
        "SHOWCASE_UPLOADS_PER_HOUR": "0",
    }
    paths = [str(SITE), os.environ.get("PYTHONPATH", "")]
    return usual | os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}


def demo(port: int, *, browser: bool = True) -> int:
    """Serve until interrupted; the exit code of what ended first."""
    if not _free(port):
        raise PaperError(f"port {port} is in use", f"choose another: paper demo --port {port + 1}")
    env = environment() | {"SHOWCASE_BIND": f"127.0.0.1:{port}"}
    os.environ.update(env)
    worker = [sys.executable, str(SITE / "manage.py"), "run_worker"]
    with _processes(env) as start:
        working = start(worker)  # it loads the model while the tables are made
        _prepare()
        server = start(_server(port))
        address = f"http://127.0.0.1:{port}/"
        _wait(address, server)
        sys.stdout.write(f"The showcase is at {address} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        if browser:
            webbrowser.open(address)
        while server.poll() is None:
            time.sleep(0.2)
            if working.poll() is not None:  # a decoder or model took the worker down with it
                time.sleep(1)
                working = start(worker)
        return server.returncode


def _prepare() -> None:
    """Tables, and on a fresh site the batch of examples; in this process, to start quickly."""
    import django
    from django.core.management import call_command
    from django.db import DatabaseError, connections

    django.setup()
    try:
        call_command("migrate", verbosity=0)
        call_command("load_examples", stdout=io.StringIO())
    except DatabaseError as error:
        raise PaperError(
            f"the database could not be set up ({error})", "look at DATABASE_URL and SHOWCASE_VAR"
        ) from error
    connections.close_all()


def _server(port: int) -> list[str]:
    if sys.platform == "win32":  # gunicorn is for POSIX only
        manage = str(SITE / "manage.py")
        return [sys.executable, manage, "runserver", "--noreload", "--insecure", str(port)]
    return [sys.executable, "-m", "gunicorn", "-c", str(SITE / "config/gunicorn.py"), "config.wsgi"]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _processes(env: dict) -> Iterator[Callable[[list[str]], subprocess.Popen]]:
    """A function that starts a command; all that run are ended at the end, whatever happens."""
    running: list[subprocess.Popen] = []

    def start(command: list[str]) -> subprocess.Popen:
        running.append(subprocess.Popen(command, env=env, cwd=SITE))
        return running[-1]

    # Ended by SIGTERM (a service manager, a closed terminal) like by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        yield start
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(address: str, server: subprocess.Popen, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address + "healthz", timeout=2):
            return
        time.sleep(0.1)
    raise PaperError("the web server did not start", "the lines above say why")
