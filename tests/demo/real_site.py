"""The showcase as real processes, to be killed: gunicorn, workers, a database of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
SITE = HERE.parents[1] / "demo_site"
FAST = {
    "SHOWCASE_HEARTBEAT_SECONDS": "0.2",
    "SHOWCASE_LOST_SECONDS": "1.5",
    "SHOWCASE_UPLOADS_PER_HOUR": "0",
    "SHOWCASE_LOOPBACK": "1",
    "SHOWCASE_PREDICTOR": "planted.load",
    "SHOWCASE_EXAMPLES": "0",
    "SHOWCASE_LOG_LEVEL": "WARNING",
    "SHOWCASE_WEB_THREADS": "4",
}


#: Arguments: a core, then those of Python; on that core alone, threads and children too.
PINNED = (
    "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)
_EMPTY: list[str] = []  # the migrated database as SQL


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, seconds: float = 60, pause: float = 0.05):
    """The first true value of `what()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s")


class RealSite:
    """One site: its folder, its environment, its processes, and a browser without JavaScript."""

    def __init__(self, folder: Path, **env: str):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "predicted.log"
        self.hold = folder / "hold"  # planted.py: workers wait while it is there
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("SHOWCASE_", "AWS_", "PLANTED_")) and k != "DATABASE_URL"
        }
        self.env = clean | FAST | {
            "SHOWCASE_VAR": str(folder / "var"),
            "SHOWCASE_BIND": f"127.0.0.1:{self.port}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": os.pathsep.join((str(SITE), str(HERE))),
            "PLANTED_LOG": str(self.log),
            "PLANTED_HOLD": str(self.hold),
        } | env  # fmt: skip
        self.running: list[subprocess.Popen] = []
        # No connection is used twice: gunicorn may close a kept one as the next request leaves.
        self.client = httpx.Client(
            base_url=self.url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def __enter__(self) -> RealSite:
        self.log.touch()
        if "DATABASE_URL" in self.env:
            self.manage("migrate", "--verbosity", "0")
            return self
        # The empty database is the same for every test: made once, then copied.
        target = self.folder / "var/showcase.sqlite3"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _EMPTY:
            self.manage("migrate", "--verbosity", "0")
            with sqlite3.connect(target) as database:
                _EMPTY.append("\n".join(database.iterdump()))
        else:
            with sqlite3.connect(target) as database:
                database.executescript(_EMPTY[0])
        return self

    def __exit__(self, *_) -> None:
        self.client.close()
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SITE / "manage.py"), *arguments],
            env=self.env, cwd=SITE, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *command: str, **env: str) -> subprocess.Popen:
        with open(self.folder / "processes.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command], env=self.env | env, cwd=SITE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.running.append(process)
        return process

    def web(self, core: int | None = None) -> subprocess.Popen:
        """gunicorn; on one `core` alone where one is named."""
        pin = () if core is None else ("-c", PINNED, str(core))
        config = str(SITE / "config/gunicorn.py")
        process = self.start(*pin, "-m", "gunicorn", "-c", config, "config.wsgi")
        wait_for(lambda: self.answers("/healthz"))
        return process

    def worker(self, **env: str) -> subprocess.Popen:
        return self.start(str(SITE / "manage.py"), "run_worker", **env)

    def answers(self, path: str) -> bool:
        try:
            return self.client.get(path).status_code == 200
        except httpx.HTTPError:
            return False

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        """kill -9, children and all."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def form(self, page: str = "/") -> dict[str, str]:
        text = self.client.get(page).text
        return {"csrfmiddlewaretoken": re.search(r'csrfmiddlewaretoken" value="(\w+)"', text)[1]}

    def send(self, files: list[tuple[str, bytes]], **fields: str) -> str:
        """A batch through the form; its token."""
        answer = self.client.post(
            "/", data=self.form() | fields, files=[("files", file) for file in files]
        )
        assert answer.status_code == 302, answer.text[:300]
        return answer.headers["Location"].split("/")[2]

    def send_in_parts(self, files: list[tuple[str, bytes]], part: int = 20) -> str:
        """A batch as the page's script sends it; its token."""
        opened = self.client.post("/upload/", data=self.form()).json()
        form = self.form()
        for start in range(0, len(files), part):
            sent = [("files", file) for file in files[start : start + part]]
            answer = self.client.post(opened["files_url"], data=form, files=sent)
            assert all(file["accepted"] for file in answer.json()["files"])
        assert self.client.post(opened["submit_url"], data=form).status_code == 200
        return opened["token"]

    def status(self, token: str) -> dict:
        return self.client.get(f"/api/v1/batches/{token}").raise_for_status().json()

    def finished(self, token: str, seconds: float = 60) -> dict:
        return wait_for(lambda: (s := self.status(token))["finished"] and s, seconds, 0.1)

    def predicted(self) -> list[str]:
        """Every chip that a worker's predictor was given, as often as it was."""
        return self.log.read_text().split()

    def calls(self) -> list[list[str]]:
        """The same, by calls of the predictor."""
        return [line.split() for line in self.log.read_text().splitlines()]
