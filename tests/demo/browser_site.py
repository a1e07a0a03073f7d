"""The whole site in real processes for the browser's tests: gunicorn, one worker, own folder."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python

from paperlib.utils.system import browser as chromium

HERE = Path(__file__).resolve().parent
SITE = HERE.parents[1] / "demo_site"
__all__ = ["AXE", "SITE", "chromium", "free_port", "running"]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(
    folder: Path, *, seconds_per_chip: float = 0.005, examples: int = 8, **settings: str
) -> Iterator[str]:
    """Start the site on a free port, wait until its examples are labelled, yield its address.

    While `folder / "hold"` is there, its worker stands still (planted.py).
    """
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHOWCASE_")}
    env.pop("DATABASE_URL", None)
    env |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": os.pathsep.join([str(SITE), str(HERE), str(HERE.parents[1])]),
        "SHOWCASE_VAR": str(folder),
        "SHOWCASE_BIND": f"127.0.0.1:{port}",
        "SHOWCASE_LOOPBACK": "1",
        "SHOWCASE_EXAMPLES": str(examples),
        "SHOWCASE_PREDICTOR": "planted.load",
        "SHOWCASE_LOG_LEVEL": "WARNING",
        "SHOWCASE_UPLOADS_PER_HOUR": "0",
        "SHOWCASE_FLAGS_PER_HOUR": "0",
        "PLANTED_SECONDS_PER_CHIP": str(seconds_per_chip),
        "PLANTED_HOLD": str(folder / "hold"),
        "PLANTED_GROUP": "16",  # so that fifty chips are several groups
        "OMP_NUM_THREADS": "1",
    } | settings
    manage = [sys.executable, str(SITE / "manage.py")]
    prepare = [sys.executable, "-c", "from showcase import run; run._prepare()"]
    subprocess.run(prepare, env=env, check=True)
    web = [sys.executable, "-m", "gunicorn", "-c", str(SITE / "config/gunicorn.py"), "config.wsgi"]
    log = open(folder / "site.log", "wb")  # noqa: SIM115  closed below, after the processes
    commands = [web, [*manage, "run_worker"]]
    processes = [subprocess.Popen(c, env=env, cwd=SITE, stdout=log, stderr=log) for c in commands]
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, processes, folder)
        yield address
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        log.close()


def _wait(address: str, processes: list[subprocess.Popen], folder: Path, seconds: float = 90):
    end = time.monotonic() + seconds
    while time.monotonic() < end and all(p.poll() is None for p in processes):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{address}/workerz", timeout=5),
            urllib.request.urlopen(f"{address}/gallery/", timeout=5) as page,
        ):
            if b'class="tile"' in page.read():
                return
        time.sleep(0.2)
    raise RuntimeError(f"the site did not start:\n{(folder / 'site.log').read_text()[-3000:]}")
