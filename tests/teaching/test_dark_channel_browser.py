"""The sliders of notebook 02 in a real browser: JupyterLab in headless Chromium."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import nbformat
import pytest

from paperlib.utils import system

CHROMIUM = system.browser()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
IDLE = "text=/ipykernel.*Idle/"


@pytest.fixture
def jupyter(root, tmp_path):
    """The page's own cell of notebook 02 in a JupyterLab; yields its address."""
    whole = nbformat.read(root / "notebooks" / "02_dark_channel.ipynb", as_version=4)
    keep = [c for c in whole.cells if c.source.startswith("import numpy")]
    keep += [c for c in whole.cells if c.source.startswith("page.explore(")]
    assert len(keep) == 2
    keep[0].source = keep[0].source.split("\n\nwords.use(")[0] + '\nlanguage = "en"'
    whole.cells = keep
    nbformat.write(whole, tmp_path / "page.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "home"
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home),
        "PYTHONPATH": str(root),
        "PAPER_CACHE": os.environ.get("PAPER_CACHE", str(root / ".cache")),
    }
    environment.pop("PAPER_TRACE", None)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (tmp_path / "server.log").read_text()[-800:]
            time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/lab/tree/page.ipynb?reset"
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def test_the_panel_works_in_jupyterlab(jupyter):
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import sync_playwright

    pictures = os.environ.get("PAPER_SCREENSHOTS")  # a folder, to look at them
    with sync_playwright() as play:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1500, "height": 1150})
        page.goto(jupyter, timeout=120_000)
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=120_000)
        page.wait_for_selector(IDLE, timeout=120_000)
        for _ in range(5):  # what is sent before the kernel is there is lost without a word
            if page.locator(".jp-Dialog .jp-mod-accept").count():  # "the kernel is starting"
                page.click(".jp-Dialog .jp-mod-accept")
            try:
                page.click("text=Run >> nth=0", timeout=10_000)
                page.click("text=Run All Cells", timeout=10_000)
                page.wait_for_selector(".jp-OutputArea iframe", timeout=60_000)
                break
            except PlaywrightTimeout:
                continue
        panel = page.frame_locator(".jp-OutputArea iframe")
        panel.locator("html[data-ready]").wait_for(timeout=60_000)
        numbers = panel.locator("#bench [data-numbers]")
        before = numbers.inner_text()
        slider = panel.locator('#bench [data-slider="omega"] input')
        slider.focus()
        for _ in range(20):
            page.keyboard.press("ArrowLeft")
        panel.locator('#bench [data-slider="omega"] output:has-text("0.75")').wait_for()
        assert "PSNR" in numbers.inner_text()
        assert numbers.inner_text() != before
        if pictures:
            page.screenshot(path=f"{pictures}/page.png")
        browser.close()
