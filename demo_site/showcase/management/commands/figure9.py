"""`manage.py figure9`: figure 9, a picture of the running site on generated scenes.

Notebook 14_showcase calls it. What a browser draws depends on its version and on the fonts of the
machine, and some pixels differ by a shade from run to run: a picture that is there is kept where
the new one is the same to the eye and of the same model. The digest of the model's card is written
into the picture: `tests/demo/test_figure9.py` fails where the released model has become another
since.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from paperlib.pipeline.site_picture import looks_like, shows_release, write_card
from paperlib.utils import files, system
from showcase import run

WIDTH, HEIGHT, EXAMPLES = 1280, 1480, 48  # pixels of the page, scenes in it


class Command(BaseCommand):
    help = "Start the site in a folder of its own, wait for its examples, and picture a page."

    def add_arguments(self, parser) -> None:
        root = settings.CHECKOUT
        parser.add_argument("--out", default=str(root / "figures/sample/fig09_showcase.png"))
        parser.add_argument("--seconds", type=float, default=180, help="patience")

    def handle(self, *, out, seconds, **options) -> None:
        browser = system.browser()
        if browser is None:
            raise CommandError(
                "no Chromium is installed: apt-get install chromium, or name it by PAPER_BROWSER"
            )
        with tempfile.TemporaryDirectory(prefix="figure9-") as folder:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            env = run.environment() | {
                "SHOWCASE_VAR": folder,
                "SHOWCASE_BIND": f"127.0.0.1:{port}",
                "SHOWCASE_EXAMPLES": str(EXAMPLES),
                "SHOWCASE_LOG_LEVEL": "ERROR",
            }
            env.pop("DATABASE_URL", None)
            address = f"http://127.0.0.1:{port}"
            demo = [sys.executable, "-c", "from paperlib.cli import main; main()", "demo"]
            here = [*demo, "--no-browser", "--port", str(port)]
            site = subprocess.Popen(here, env=env, cwd=settings.CHECKOUT)
            try:
                self._wait(f"{address}/", site, seconds)
                picture = Path(folder) / "page.png"
                subprocess.run(
                    [
                        browser,
                        "--headless",
                        "--no-sandbox",  # it shows our own page only; root has no sandbox
                        "--hide-scrollbars",
                        "--disable-gpu",
                        "--lang=en-GB",
                        f"--user-data-dir={folder}/browser",
                        f"--window-size={WIDTH},{HEIGHT}",
                        "--virtual-time-budget=8000",
                        f"--screenshot={picture}",
                        f"{address}/",
                    ],
                    check=True,
                    timeout=seconds,
                    stderr=subprocess.DEVNULL,
                )
            finally:
                site.terminate()
                site.wait(30)
            target = Path(out)
            target.parent.mkdir(parents=True, exist_ok=True)
            model = settings.SHOWCASE["MODEL"]
            write_card(picture, model)
            if target.exists() and shows_release(target, model) and looks_like(target, picture):
                self.stdout.write(f"{target} is as before")
                return
            with files.replacing(target) as partial:
                shutil.copyfile(picture, partial)
        self.stdout.write(f"wrote {target}")

    def _wait(self, address: str, site: subprocess.Popen, seconds: float) -> None:
        last = f"scene_{EXAMPLES - 1:06d}".encode()  # all are labelled then
        end = time.monotonic() + seconds
        while time.monotonic() < end and site.poll() is None:
            try:
                with urllib.request.urlopen(address, timeout=5) as page:
                    if last in page.read():
                        return
            except OSError:
                pass
            time.sleep(0.5)
        ended = site.poll() is not None
        raise CommandError(
            "the site ended before its examples were labelled"
            if ended
            else f"the site did not label its examples within {seconds:g} s"
        )
