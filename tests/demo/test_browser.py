"""The showcase in a real Chromium: what a visitor does, by mouse, by keyboard, without scripts.

Every page that any of these tests opens is watched: no request leaves the site, no script fails,
and the content security policy is never violated.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import sqlite3
import subprocess
import sys
import zipfile

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")

from browser_site import AXE, SITE, chromium, running
from PIL import Image
from planted import PlantedPredictor
from playwright.sync_api import expect, sync_playwright
from test_geography import geotiff

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
LIMIT = 20_000  # milliseconds; many times what a quiet machine needs
expect.set_options(timeout=LIMIT)
COUNT_SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
      if (!shift.hadRecentInput) {
        const moved = shift.sources.map((s) => s.node?.className || s.node?.nodeName);
        window.shifts.push([shift.value, moved]);
      }
    }
  }).observe({ type: "layout-shift", buffered: true });
"""


def png(seed: int, height: int = 64, width: int = 64) -> bytes:
    """A picture that no other seed gives: a few soft colours."""
    colours = np.random.default_rng(seed).integers(20, 236, (4, 4, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def sent(name: str, data: bytes) -> dict:
    return {"name": name, "mimeType": "image/png", "buffer": data}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder):
    results = folder / "results"
    results.mkdir()
    (results / "planet32").symlink_to(SITE.parent / "results/planet32")
    (results / "report.html").write_text(REPORT, encoding="utf-8")
    with running(folder, SHOWCASE_RESULTS=str(results)) as address:
        yield address


@pytest.fixture(scope="module")
def staff(site, folder):
    """Name and password of one who may hide, delete and review."""
    env = os.environ | {
        "SHOWCASE_VAR": str(folder), "SHOWCASE_LOOPBACK": "1", "DJANGO_SUPERUSER_EMAIL": "",
        "DJANGO_SUPERUSER_USERNAME": "keeper", "DJANGO_SUPERUSER_PASSWORD": "a pass phrase",
    }  # fmt: skip
    command = [sys.executable, str(SITE / "manage.py"), "createsuperuser", "--noinput"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    return "keeper", "a pass phrase"


@pytest.fixture
def hold(folder):
    """Let the worker answer for so many chips and then stand still; `None` lets it go on."""
    path = folder / "hold"

    def until(chips: int | None) -> None:
        if chips is None:
            path.unlink(missing_ok=True)
        else:
            partial = path.with_name("hold.partial")
            partial.write_text(str(chips))
            partial.replace(path)

    yield until
    until(None)


@pytest.fixture(scope="module")
def browser(site):
    # Of this module only: while Playwright runs, Django's database refuses to work in this thread.
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield chrome
        chrome.close()


@pytest.fixture
def visit(browser, site):
    """Open a page as a new visitor; afterwards look through all that its pages did."""
    contexts, faults = [], []

    def watch(page):
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("console", lambda m: m.type == "error" and faults.append(f"console: {m.text}"))
        page.on(
            "request", lambda r: r.url.startswith((site, "blob:", "data:")) or faults.append(r.url)
        )

    def open_page(path: str = "/", **options):
        options.setdefault("locale", "en-GB")
        context = browser.new_context(base_url=site, **options)
        context.set_default_timeout(LIMIT)
        context.on("page", watch)
        contexts.append(context)
        if options.get("java_script_enabled", True):
            context.add_init_script(COUNT_SHIFTS)
        page = context.new_page()
        page.goto(path)
        return page

    open_page.faults = faults
    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def drop(page, files: dict[str, bytes], target: str = "[data-drop]") -> None:
    """What a drag from the desktop ends with."""
    packed = [[name, base64.b64encode(data).decode()] for name, data in files.items()]
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, data] of files) {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        packed,
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(target, event, {"dataTransfer": transfer})


def send(page, files: dict[str, bytes], **fields: str) -> str:
    """Drop, press the button, wait for the batch's page to be finished; its address."""
    drop(page, files)
    for label, value in fields.items():
        page.fill(f"[name={label}]", value)
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")
    return page.url


def test_fifty_chips_by_drag_and_drop(visit, hold):
    page = visit()
    chips = {f"chip_{i:02d}.png": png(i) for i in range(50)}
    expect(page.locator("[data-send]")).to_be_disabled()
    drop(page, chips | {"notes.txt": b"not a picture"})
    expect(page.locator("[data-note]")).to_contain_text("One file is not a picture")
    expect(page.locator("[data-total]")).to_contain_text("50 files")
    page.wait_for_selector("[data-thumbs] canvas")
    page.get_by_role("button", name="Remove chip_00.png").click()
    expect(page.locator("[data-total]")).to_contain_text("49 files")
    page.set_input_files("[name=files]", [sent("chip_00.png", png(0))])
    expect(page.locator("[data-total]")).to_contain_text("50 files")
    page.fill("[name=title]", "Fifty")
    hold(8)  # a first group, then the worker stands still
    page.click("[data-send]")

    page.wait_for_url("**/batch/*/")
    expect(page.get_by_role("heading", name="Fifty")).to_be_visible()
    progress = page.locator("#progress")
    # The first results are there, the rest have their places already.
    expect(page.locator("#progress .tile:not(.coming) img")).to_have_count(8)
    assert page.locator("#progress .tile").count() == 50
    page.locator(".tile a").first.evaluate("(link) => { link.marked = true; }")
    hold(9)  # one group more
    expect(page.locator("#progress .tile:not(.coming) img")).not_to_have_count(8)
    expect(progress).to_have_attribute("data-state", "running")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    done = int(progress.get_attribute("data-done"))
    assert 8 < done < 50
    assert page.locator("#progress .tile:not(.coming) img").count() == done
    assert page.locator("#progress .tile").count() == 50
    assert page.locator("progress").get_attribute("value") == str(2 * done)
    hold(None)
    page.wait_for_selector("#progress[data-finished]")
    assert page.locator("#progress .tile:not(.coming) img").count() == 50
    assert page.locator(".tile a").first.evaluate("(link) => link.marked === true")  # never redrawn
    assert page.evaluate("window.shifts") == []
    assert page.evaluate("[...document.images].every((i) => !i.complete || i.naturalWidth > 0)")
    expect(page.locator("[data-live]")).to_contain_text("50 of 50")

    with page.expect_download() as download:
        page.click("#get-csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert sorted(row["image_name"] for row in rows) == [f"chip_{i:02d}" for i in range(50)]
    assert all(row["tags"] for row in rows)


def test_a_broken_line_is_tried_again_and_nothing_is_stored_twice(visit):
    page = visit()
    tries = []

    def lose_the_answer(route):
        tries.append(route.request.url)
        if len(tries) == 1:
            route.fetch()  # the site takes the files, its answer is lost
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/files/", lose_the_answer)
    send(page, {f"again_{i}.png": png(100 + i) for i in range(3)})
    assert len(tries) == 2
    assert page.locator("#progress .tile").count() == 3
    assert visit.faults.pop().endswith("net::ERR_CONNECTION_RESET")


def test_a_changed_choice_is_a_new_batch_and_the_broken_one_is_given_up(visit):
    """Else what was half sent would be worked on by itself, and shown, half an hour later."""
    page = visit()
    opened, cancelled = [], []

    def watch(request):
        batch, _, step = request.url.removesuffix("/").rpartition("/")
        {"files": opened, "cancel": cancelled}.get(step, []).append(f"{batch}/")

    page.on("request", watch)
    page.route("**/files/", lambda route: route.fulfill(status=400, json={"detail": "no"}))
    drop(page, {"first.png": png(110)})
    page.click("[data-send]")  # refused for good: nothing is left to go on with
    expect(page.locator("[data-note]")).to_contain_text("no")
    expect(page.locator("[data-send-text]")).to_have_text("Upload and label")
    page.unroute("**/files/")
    page.route("**/submit/", lambda route: route.abort("connectionreset"))
    page.clock.install()
    page.click("[data-send]")
    for _ in range(60):  # its patience between the tries
        if "Go on" in page.locator("[data-send-text]").inner_text():
            break
        page.clock.run_for(1000)
        page.wait_for_timeout(20)
    expect(page.locator("[data-send-text]")).to_have_text("Go on")
    page.get_by_label("private batch").uncheck()
    expect(page.locator("[data-send-text]")).to_have_text("Upload and label")
    page.unroute("**/submit/")
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")
    assert len(set(opened)) == 3
    assert page.url == opened[-1]
    expect(page.locator(".tag").filter(has_text="private batch")).to_have_count(0)
    assert cancelled == opened[:2]
    page.goto(opened[1])
    expect(page.locator("#progress")).to_have_attribute("data-state", "cancelled")
    # What was handed over is never given up: back on the form another choice changes nothing.
    page.goto("/")
    drop(page, {"second.png": png(111)})
    page.route("**/batch/*/", lambda route: route.fulfill(status=204))  # "stay where you are"
    with page.expect_response("**/batch/*/"):
        page.click("[data-send]")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("[data-total]")).to_contain_text("0 files")
    assert len(cancelled) == 2
    while visit.faults:  # the refusals and broken lines of this test
        assert re.search("400|net::ERR", visit.faults.pop())


def test_zip_and_mosaic(visit):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside/one.png", png(200))
        archive.writestr("inside/two.png", png(201))
        archive.writestr("inside/readme.txt", "no picture")
    page = visit()
    drop(page, {"pack.zip": packed.getvalue()})
    expect(page.locator("[data-blind]")).to_contain_text("no picture before they are sent")
    send(page, {"wide.png": png(202, 512, 768)})
    assert page.locator("#progress .tile").count() == 2 + 6
    expect(page.locator("#failed")).to_contain_text("readme")
    page.get_by_role("link", name="See it as one picture").click()
    cells = page.locator("[data-cell]")
    assert cells.count() == 6
    label = page.locator("[data-legend] button").first
    name = label.get_attribute("data-label")
    label.click()
    expect(label).to_have_attribute("aria-pressed", "true")
    kept = sum(name in (c.get_attribute("data-cell") or "").split() for c in cells.all())
    assert page.locator("[data-cell]:not(.out)").count() == kept > 0
    label.click()
    assert page.locator("[data-cell].out").count() == 0
    cells.first.locator("a").click()
    page.wait_for_url("**/chip/*/**")


def test_the_labels_of_a_fine_mosaic_can_be_read_by_pointer_keyboard_and_finger(visit):
    page = visit("/", has_touch=True, viewport={"width": 700, "height": 900})
    send(page, {"fine.png": png(205, 512, 8 * 256)})
    page.get_by_role("link", name="See it as one picture").click()
    links, here = page.locator("[data-cell] a"), page.locator("[data-here]")
    assert links.count() == 16
    assert page.locator("[data-cell] text").count() == 0  # no room for words
    groups = {"weather": "circle", "common": "rect", "rare": "path"}
    drawn = page.evaluate(
        """() => [...document.querySelectorAll("[data-cell] .dot")].map((dot) => {
          const mark = document.querySelector(dot.getAttribute("href"));
          return [dot.classList[1], mark.firstElementChild.tagName];
        })"""
    )
    assert drawn
    assert all(groups[group] == shape for group, shape in drawn)  # not by colour alone
    names = [link.get_attribute("aria-label") for link in links.all()]
    assert names[9].startswith("row 2, column 2: ")
    links.nth(9).hover()
    expect(here).to_have_text(names[9])
    links.nth(3).focus()
    expect(here).to_have_text(names[3])
    place = here.bounding_box()
    links.nth(12).tap()
    expect(here).to_have_text(names[12])
    assert "/picture/" in page.url
    assert here.bounding_box() == place
    assert _axe(page) == []
    links.nth(12).tap()
    page.wait_for_url("**/chip/*/**")


def test_a_slow_line_is_given_its_time_and_a_dead_one_is_not(visit):
    """No limit on the whole of a request, as long as bytes go."""
    page = visit()
    page.clock.install()
    page.evaluate(
        """() => {
          window.aborted = 0;
          window.reached = [];
          window.XMLHttpRequest = class {
            upload = {};
            open(method, address) { this.step = address; }
            setRequestHeader() {}
            answer(status, body) {
              this.status = status;
              this.responseText = JSON.stringify(body);
              this.onloadend();
            }
            abort() {
              window.aborted += 1;
              this.answer(0, null);
            }
            send() {
              window.reached.push(this.step);
              if (this.step === "files") {
                let bytes = 0;
                const slow = setInterval(() => {
                  bytes += 1000;
                  this.upload.onprogress({ loaded: bytes });
                  if (bytes < 9000) return;
                  clearInterval(slow);
                  this.answer(200, { files: [{ accepted: true }] });
                }, 100_000);
              } else if (this.step !== "submit") {
                const steps = { files_url: "files", submit_url: "submit", cancel_url: "/" };
                this.answer(201, steps);
              }
            }
          };
        }"""
    )
    drop(page, {"large.png": png(206)})
    expect(page.locator("[data-blind]")).to_be_hidden()
    page.click("[data-send]")
    page.clock.run_for(890_000)
    assert page.evaluate("window.reached.slice(1)") == ["files"]
    page.clock.run_for(20_000)  # all is sent, a quarter of an hour later
    assert page.evaluate("window.reached.slice(1)") == ["files", "submit"]
    assert page.evaluate("window.aborted") == 0
    page.clock.run_for(90_000)
    assert page.evaluate("window.aborted") == 0
    page.clock.run_for(30_000)  # nothing went and nothing came: tried again
    assert page.evaluate("window.aborted") == 1
    assert page.evaluate("window.reached.slice(1)") == ["files", "submit", "submit"]


def test_a_folder_by_picker_and_by_drop(visit, tmp_path):
    (tmp_path / "scene/inner").mkdir(parents=True)
    for i in range(3):
        (tmp_path / f"scene/pick_{i}.png").write_bytes(png(210 + i))
    (tmp_path / "scene/inner/pick_3.png").write_bytes(png(213))
    (tmp_path / "scene/notes.txt").write_text("not a picture")
    page = visit()
    page.set_input_files("[name=folder]", tmp_path / "scene")
    expect(page.locator("[data-total]")).to_contain_text("4 files")
    expect(page.locator("[data-note]")).to_contain_text("One file is not a picture")
    # A folder out of a drop comes in parts, with folders inside.
    page.evaluate(
        """(names) => {
          const file = (name) => ({
            isFile: true, name, file: (done) => done(new File([name], name, { type: "image/png" })),
          });
          const folder = (name, ...parts) => ({
            isDirectory: true, name,
            createReader: () => ({ readEntries: (done) => done(parts.shift() ?? []) }),
          });
          const inner = folder("inner", [file(names[2])]);
          const whole = folder("whole", [file(names[1]), inner], [file(names[0])]);
          const event = new Event("drop", { bubbles: true, cancelable: true });
          const items = [{ kind: "file", webkitGetAsEntry: () => whole }];
          Object.defineProperty(event, "dataTransfer", { value: { items, types: ["Files"] } });
          document.querySelector("[data-drop]").dispatchEvent(event);
        }""",
        ["drop_2.png", "drop_10.png", "drop_1.png"],
    )
    expect(page.locator("[data-total]")).to_contain_text("7 files")
    names = page.locator("[data-thumbs] .name").all_inner_texts()
    assert sorted(names[:4]) == [f"pick_{i}.png" for i in range(4)]
    assert names[4:] == ["drop_1.png", "drop_2.png", "drop_10.png"]  # as people count
    for name in names[4:]:  # no pictures, these
        page.get_by_role("button", name=f"Remove {name}", exact=True).click()
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")
    assert page.locator("#progress .tile img").count() == 4


def test_waiting_on_a_phone_closing_the_page_and_coming_back(visit, hold):
    phone = {"width": 360, "height": 740}
    page = visit("/", viewport=phone, reduced_motion="reduce")
    hold(8)
    drop(page, {f"phone_{i:02d}.png": png(240 + i) for i in range(30)})
    page.fill("[name=title]", "From a phone")
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    expect(page.locator("#progress .tile:not(.coming) img")).to_have_count(8)
    expect(page.locator("#progress")).to_have_attribute("data-state", "running")
    assert _axe(page) == []
    assert page.evaluate(OVERFLOW) == []
    # The page is asked for anew each second; a screen reader hears nothing of that.
    page.evaluate(
        """() => {
          window.heard = 0;
          const told = document.querySelectorAll("[role=status], [role=alert], [aria-live]");
          const ear = new MutationObserver(() => { window.heard += 1; });
          const all = { childList: true, characterData: true, subtree: true };
          for (const one of told) ear.observe(one, all);
          let asked = 0;
          const count = () => { asked += 1; document.body.dataset.asked = asked; };
          document.body.addEventListener("htmx:afterRequest", count);
        }"""
    )
    expect(page.locator("body")).to_have_attribute("data-asked", re.compile("[3-9]"))
    assert page.evaluate("window.heard") == 0
    assert page.locator("#progress [role=alert]").count() == 0
    assert page.evaluate("window.shifts") == []
    context, address = page.context, page.url
    page.close()
    hold(None)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="From a phone").click()
    page.wait_for_url(address)
    page.wait_for_selector("#progress[data-finished]")
    assert page.locator("#progress .tile:not(.coming) img").count() == 30
    assert page.evaluate(OVERFLOW) == []


def test_every_page_fits_every_width(visit, folder):
    """Nothing sticks out from a phone to a wide screen.

    With `SCREENSHOTS` naming a folder each page is pictured there, by width, light and dark.
    """
    shots = os.environ.get("SCREENSHOTS")
    page = visit("/", reduced_motion="reduce")
    page.set_input_files("[name=files]", [sent("a rather long name of a file.png", png(290))])
    page.wait_for_selector("[data-thumbs] canvas")
    _widths(page, "home-with-files", shots)
    batch = send(page, {"broken.png": b"nothing", "wide.png": png(291, 512, 768)})
    picture = page.locator("#whole").get_attribute("href")
    page.goto("/gallery/?sort=oldest")
    chip = page.locator(".tile a").first.get_attribute("href")
    earth = send(visit("/"), {"scene.tif": geotiff(1)})
    pages = {"home": "/", "gallery": "/gallery/", "gallery-empty": "/gallery/?q=nothing+like+it",
             "model": "/model/", "report": "/report/", "api": "/api/", "api-docs": "/api/v1/docs",
             "login": "/login/", "error": "/nowhere", "batch": batch, "mosaic": picture,
             "chip": chip, "map": f"{earth}map/"}  # fmt: skip
    for name, path in pages.items():
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        _widths(page, name, shots)
    fine = send(visit("/"), {"fine.png": png(292, 512, 2048)})
    page.goto(fine)
    page.goto(page.locator("#whole").get_attribute("href"))
    _widths(page, "mosaic-fine", shots)
    chinese = visit("/", locale="zh-CN", reduced_motion="reduce")
    for name in pages:
        if name not in ("report", "error"):
            chinese.goto(pages[name])
            _widths(chinese, f"chinese-{name}", shots)
    # The report's own style and script came through its policy, and nothing else asked to.
    page.goto("/report/")
    assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
    assert page.evaluate("getComputedStyle(document.querySelector('i')).fontWeight") == "300"
    assert page.title() == "made by its script"
    assert visit.faults.pop().startswith("console: Failed to load resource")  # the 404


OVERFLOW = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  return [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > most + 1)
    .slice(0, 5).map((one) => `${one.tagName} ${one.className}`);
}"""
REPORT = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>a report</title>
<meta name="viewport" content="width=device-width"><style>p { color: rgb(1, 2, 3) }</style></head>
<body><p>F2 <i style="font-weight: 300">0.9</i></p>
<script>document.title = "made by its script";</script></body></html>"""


def _widths(page, name: str, shots: str | None) -> None:
    for width in (360, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) == [], f"{name} at {width}"
        for theme in ("light", "dark") if shots else ():
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=f"{shots}/{name}-{width}-{theme}.png", full_page=True)


def test_arrow_keys_and_links_lead_from_chip_to_chip(visit):
    page = visit("/gallery/?sort=oldest")
    names = page.locator("#results .tile .name").all_inner_texts()
    page.locator("#results .tile a").first.click()
    assert page.locator("h1").inner_text() == names[0]
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text(names[1])
    page.get_by_role("link", name="Next").click()
    expect(page.locator("h1")).to_have_text(names[2])
    page.locator("[data-thresholds] input").first.press("ArrowLeft")  # the field's own key
    page.wait_for_timeout(200)
    expect(page.locator("h1")).to_have_text(names[2])
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("h1")).to_have_text(names[1])
    plain = visit(page.url, java_script_enabled=False)
    plain.get_by_role("link", name="Previous").click()
    assert plain.locator("h1").inner_text() == names[0]


def test_gallery_filters(visit):
    page = visit("/gallery/")
    tiles = page.locator("#results .said")

    def count() -> int:
        return int(re.search(r"\d+", page.locator("#found").inner_text())[0])

    def results_of(act) -> list[str]:
        """The labels of each chip after `act` has brought new results."""
        page.evaluate("document.querySelector('#results').dataset.old = ''")
        act()
        expect(page.locator("#results[data-old]")).to_have_count(0)
        return tiles.all_inner_texts()

    everything = count()
    assert everything >= 8
    page.evaluate("window.same = true")
    # A status is read out when its text changes, not when it is itself another.
    page.evaluate(
        """() => {
          window.counts = [];
          const status = document.querySelector("#found");
          new MutationObserver(() => window.counts.push(status.textContent.trim()))
            .observe(status, { childList: true, characterData: true, subtree: true });
        }"""
    )
    water = results_of(page.get_by_label("water", exact=True).check)
    assert page.url.endswith("/gallery/?label=water")  # can be shared; no defaults in it
    assert water
    assert all("water" in text for text in water)
    assert count() < everything
    told = page.evaluate("window.counts")
    assert told[-1].startswith(str(count()))
    assert page.locator("#found").count() == 1
    assert page.locator("#results #found").count() == 0
    both = results_of(page.get_by_label("road", exact=True).check)
    assert all("water" in text and "road" in text for text in both)
    some = results_of(lambda: page.locator("[name=match][value=any]").check(force=True))
    assert all("water" in text or "road" in text for text in some)
    assert len(both) <= len(water) <= len(some)
    results_of(lambda: page.locator("#q").fill("scene_000003"))
    assert page.evaluate("window.same === true")  # only the results were exchanged
    page.go_back()
    page.wait_for_url(lambda address: "q=" not in address)
    expect(tiles).to_have_count(len(some))
    assert tiles.all_inner_texts() == some
    page.get_by_role("link", name="Reset", exact=True).click()
    page.wait_for_url("**/gallery/")
    assert count() == everything


def test_a_correction_is_kept(visit, site):
    page = visit("/gallery/?sort=oldest")
    page.locator(".tile a").first.click()
    name = page.locator("h1").inner_text()
    page.get_by_text("This is wrong").click()
    form = page.locator("#wrong")
    while form.locator("[type=checkbox]:checked").count():
        form.locator("[type=checkbox]:checked").first.uncheck()
    form.get_by_label("blooming").check()
    form.get_by_label("clear", exact=True).check()
    form.get_by_label("Comment (optional)").fill("<b>trees in flower</b>")
    form.get_by_role("button", name="Send the correction").click()
    expect(page.locator(".note.success")).to_contain_text("Thank you")
    expect(page.get_by_text("<b>trees in flower</b>")).to_be_visible()
    # The visitor sees it at once, others when staff has looked at it.
    address = page.url
    assert visit(address).get_by_text("<b>trees in flower</b>").count() == 0
    rows = csv.DictReader(io.StringIO(page.request.get(f"{site}/flags.csv").text()))
    assert name not in [row["image_name"] for row in rows]


def test_labels_follow_the_thresholds_that_a_visitor_moves(visit):
    page = visit("/gallery/?sort=oldest")
    page.locator(".tile a").first.click()
    box, rows = page.locator("[data-thresholds]"), page.locator(".bars").first.locator("tr.on")
    usual = rows.count()
    counts = []
    for points in (-50, -20, 0, 20, 50):
        box.locator("input[type=range]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", points
        )
        counts.append(rows.count())
        said = box.locator("output").inner_text()
        assert said.startswith(f"{points:+d} · " if points else "0 · ")
        titles = [] if said.endswith("none") else said.split(": ", 1)[1].split(", ")
        assert len(titles) == counts[-1]
    assert counts == sorted(counts, reverse=True)
    assert counts[2] == usual
    assert counts[0] > counts[-1]
    box.locator("input[type=range]").evaluate(
        "e => { e.value = 0; e.dispatchEvent(new Event('input')); }"
    )
    shown = page.locator(".bars").first.locator("tbody tr td:last-child")
    before = shown.all_inner_texts()
    box.get_by_label("Thresholds that find rare labels").check()
    own = [float(text) for text in shown.all_inner_texts()]
    assert own == pytest.approx(
        [100 * t for t in PlantedPredictor.card["label_thresholds"].values()]
    )
    table = page.locator(".bars").first.locator("tbody tr")
    chances = [float(table.nth(i).get_attribute("data-percent")) for i in range(len(own))]
    assert rows.count() == sum(c >= t for c, t in zip(chances, own, strict=True))
    box.get_by_label("Thresholds that find rare labels").uncheck()
    assert rows.count() == usual
    assert shown.all_inner_texts() == before


def test_one_click_labels_a_picture_of_the_sites_own(visit):
    page = visit()
    page.get_by_role("button", name="river").click()
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")
    assert page.locator("#progress .tile img").count() == 1


def test_language_switch(visit):
    page = visit("/gallery/?label=water")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    assert page.url.endswith("/gallery/?label=water")
    expect(page.get_by_role("heading", name="图库")).to_be_visible()
    expect(page.locator("#results .said").first).to_contain_text(re.compile("水(?!体)"))
    for path in ("/", "/model/", "/api/", "/login/", "/nowhere"):
        page.goto(path)
        assert re.search(
            r"[\u4e00-\u9fff]", page.locator("main h1, main .lead").all_inner_texts()[-1]
        )
    assert visit.faults.pop().startswith("console: Failed to load resource")  # the 404 asked for
    assert visit("/", locale="zh-CN").locator("html").get_attribute("lang") == "zh-hans"


def test_dark_mode_is_remembered(visit):
    page = visit("/", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    button = page.get_by_role("button", name="Dark colours")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(paper)
    assert dark != light
    page.goto("/gallery/")
    assert page.evaluate(paper) == dark
    assert visit("/", color_scheme="dark").evaluate(paper) == dark


def test_without_javascript(visit):
    page = visit("/", java_script_enabled=False)
    assert page.locator(".needs-js:visible").count() == 0
    page.set_input_files("[name=files]", [sent(f"plain_{i}.png", png(300 + i)) for i in range(8)])
    page.fill("[name=title]", "No scripts")
    page.uncheck("[name=private]")
    page.get_by_role("button", name="Upload and label").click()
    page.wait_for_url("**/batch/*/")
    # No request from here: the page itself comes back until it is finished.
    page.wait_for_selector("#progress[data-finished]")
    token = page.url.split("/")[-2]
    assert page.locator("#progress .tile img").count() == 8
    page.locator(".tile a").first.click()
    assert page.locator(".bars tbody tr").count() == 17
    page.goto("/gallery/")
    page.locator("summary").click()
    page.select_option("#batch", token)  # strangers' titles stand on their own pages only
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#found")).to_contain_text("8 chips")


def test_by_keyboard(visit):
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("[name=files]")).to_be_focused()
    ring = "getComputedStyle(document.activeElement.closest('label')).outlineStyle"
    assert page.evaluate(ring) == "solid"
    page.set_input_files("[name=files]", [sent("key.png", png(400)), sent("lock.png", png(401))])
    page.get_by_role("button", name="Remove key.png").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove lock.png")).to_be_focused()
    page.locator("[name=title]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")

    page.goto("/gallery/?sort=oldest")
    page.locator(".tile a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/chip/*/**")
    for _ in range(40):  # the other copies of a chip are drawn behind the batches
        if page.locator("[data-compare]").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    page.get_by_role("slider").first.focus()
    edge = "getComputedStyle(document.querySelector('.compare .after')).clipPath"
    before = page.evaluate(edge)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert before == "inset(0px 0px 0px 50%)"
    assert page.evaluate(edge) == "inset(0px 0px 0px 52%)"
    page.get_by_text("This is wrong").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Send the correction")).to_be_visible()


def test_axe_finds_nothing_serious(visit):
    # Without motion, colours are never caught half way from one scheme to the other.
    page = visit("/", color_scheme="light", reduced_motion="reduce")
    page.set_input_files("[name=files]", [sent("one.png", png(500))])
    serious = {"/ with files": _axe(page)}
    batch = send(
        page, {"two.png": png(501), "broken.png": b"nothing", "big.png": png(502, 512, 512)}
    )
    picture = page.locator("#whole").get_attribute("href")
    page.goto("/gallery/?sort=oldest")
    chip = page.locator(".tile a").first.get_attribute("href")
    earth = send(visit("/"), {"scene.tif": geotiff(2)})
    pages = (
        f"{earth}map/",
        "/",
        "/gallery/",
        "/gallery/?q=nothing+like+it",
        "/model/",
        "/api/",
        "/api/v1/docs",
        "/login/",
        "/nowhere",
    )
    for path in (batch, picture, chip, *pages):
        page.emulate_media(color_scheme="light")
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        serious[path] = _axe(page)
        page.emulate_media(color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        serious[f"{path} (dark)"] = _axe(page, "color-contrast")  # nothing else can differ
    assert visit.faults.pop().startswith("console: Failed to load resource")  # the 404
    assert {path: found for path, found in serious.items() if found} == {}


def test_axe_finds_nothing_serious_in_chinese(visit):
    page = visit("/", locale="zh-CN", color_scheme="light", reduced_motion="reduce")
    batch = send(page, {"three.png": png(505), "broken.png": b"nothing", "big.png": png(506, 512)})
    page.goto("/gallery/?sort=oldest")
    chip = page.locator(".tile a").first.get_attribute("href")
    serious = {}
    for path in (batch, chip, "/", "/gallery/", "/gallery/?q=nothing+like+it", "/model/", "/api/",
                 "/api/v1/docs", "/login/"):  # fmt: skip
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == "zh-hans"
        serious[path] = _axe(page)
    assert {path: found for path, found in serious.items() if found} == {}


def test_the_real_report_as_a_page_of_the_site(visit, folder):
    """The one that `paper report` wrote into this checkout: axe, widths, its own policy."""
    real = SITE.parent / "results/report.html"
    if not real.is_file():
        pytest.skip("no report in this checkout: paper report")
    shown = folder / "results/report.html"
    planted = shown.read_bytes()
    try:
        shown.write_bytes(real.read_bytes())
        page = visit("/report/", color_scheme="light", reduced_motion="reduce")
        assert page.locator("figure").count() >= 9
        assert page.evaluate(
            "[...document.images].every((i) => i.loading === 'lazy' || i.complete)"
        )
        found = _axe(page)
        _widths(page, "report-real", os.environ.get("SCREENSHOTS"))
    finally:
        shown.write_bytes(planted)
    assert found == []


def test_batches_that_wait_are_held_up_or_failed(visit, hold, folder):
    """Axe, widths and pictures of what a page shows only for a while."""
    shots = os.environ.get("SCREENSHOTS")
    page = _waiting(visit, hold, 680, color_scheme="light", reduced_motion="reduce")
    token = page.url.rstrip("/").rpartition("/")[2]
    other = visit("/", color_scheme="light", reduced_motion="reduce")
    drop(other, {"queued.png": png(700)})
    other.click("[data-send]")
    other.wait_for_url("**/batch/*/")
    expect(other.locator("#progress")).to_have_attribute("data-state", "queued")
    serious = {"queued": _axe(other)}
    _widths(other, "batch-queued", shots)
    _widths(page, "batch-running", shots)
    serious["running"] = _axe(page)
    with sqlite3.connect(folder / "showcase.sqlite3", timeout=20) as database:
        database.execute("UPDATE showcase_batch SET setback = 'disk' WHERE token = ?", (token,))
    expect(page.locator(".says")).to_contain_text("The disk is full")
    _widths(page, "batch-held-up", shots)
    serious["held up"] = _axe(page)
    page.emulate_media(color_scheme="dark")
    serious["held up, dark"] = _axe(page, "color-contrast")
    page.route("**/progress/", lambda route: route.abort("connectionrefused"))
    expect(page.locator(".says")).to_contain_text("does not answer")
    _widths(page, "batch-silent", shots)
    serious["silent"] = _axe(page)
    hold(None)
    other.wait_for_selector("#progress[data-finished]")
    other.goto("/")
    send(other, {"broken.png": b"nothing", "other.png": b"no picture"})
    expect(other.locator("#progress")).to_have_attribute("data-state", "failed")
    _widths(other, "batch-failed", shots)
    serious["failed"] = _axe(other)
    assert {name: found for name, found in serious.items() if found} == {}
    while visit.faults:
        assert re.search("net::ERR|htmx", visit.faults.pop())


def test_pages_of_staff(visit, staff):
    """The administration and what staff sees on the usual pages: axe, widths, pictures."""
    shots = os.environ.get("SCREENSHOTS")
    page = visit("/admin/", color_scheme="light", reduced_motion="reduce")
    serious = {"sign in": _axe(page)}
    _widths(page, "staff-sign-in", shots)
    page.fill("[name=username]", staff[0])
    page.fill("[name=password]", staff[1])
    page.keyboard.press("Enter")
    expect(page.locator("#user-tools")).to_contain_text("keeper")
    page.goto("/gallery/?sort=oldest")
    chip = page.locator(".tile a").first.get_attribute("href")
    page.goto(chip)
    batch = page.locator("main a[href^='/batch/']").first.get_attribute("href")
    pages = {"index": "/admin/", "chip": chip, "batch": batch, "unsure": "/unsure/"}
    for model in ("batch", "chip", "flag", "worker", "modelversion", "apikey"):
        address = f"/admin/showcase/{model}/"
        if "/login/" not in page.request.get(address).url:
            pages[f"list-{model}"] = address
    assert len(pages) == 10
    for name, path in pages.items():
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.goto(path)  # Django's links fade from one scheme to the other
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            serious[f"{name}, {theme}"] = _axe(page)
            if shots and "/admin/" in path:  # Django's own layout
                page.screenshot(path=f"{shots}/staff-{name}-{theme}.png", full_page=True)
        if "/admin/" in path:
            expect(page.locator("#site-name")).to_have_text("Chip showcase")
        else:
            _widths(page, f"staff-{name}", shots)
    assert {name: found for name, found in serious.items() if found} == {}


def _axe(page, *rules: str) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    result = page.evaluate("(options) => axe.run(document, options)", options)
    assert len(result["passes"]) >= (len(rules) or 10)  # it did look
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:150]}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_waiting_page_keeps_still_for_those_who_ask(visit, hold):
    page = visit("/", reduced_motion="reduce")
    hold(8)
    drop(page, {f"still_{i}.png": png(600 + i) for i in range(20)})
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    assert page.evaluate("document.getAnimations().length") == 0
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#progress")).to_have_attribute("data-state", "cancelled")
    expect(page.locator(".note.success")).to_contain_text("cancelled")


def _waiting(visit, hold, seed: int, **options):
    """A page that waits for a worker which stands still."""
    page = visit("/", **options)
    hold(0)
    drop(page, {f"wait_{seed + i}.png": png(seed + i) for i in range(12)})
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    expect(page.locator("#progress")).to_have_attribute("data-state", "running")
    return page


def test_a_site_that_does_not_answer_says_so_and_goes_on(visit, hold):
    page = _waiting(visit, hold, 620)
    says, told = page.locator(".says"), page.locator("[data-live]")
    expect(says).to_contain_text("You may close this page")
    for fail in (
        lambda route: route.fulfill(status=503, body="later"),
        lambda route: route.abort("connectionrefused"),
    ):
        page.route("**/progress/", fail)
        expect(says).to_contain_text("The site does not answer. Nothing is lost")
        expect(told).to_contain_text("The site does not answer. Nothing is lost")
        moving = "document.getAnimations().filter((a) => a.playState === 'running').length"
        assert page.evaluate(moving) == 0  # numbers that are old do not look alive
        page.unroute("**/progress/")
        expect(says).to_contain_text("You may close this page")
        expect(told).to_contain_text("of 12 chips")
        assert page.evaluate(moving) > 0
    asked = []
    page.route(
        "**/progress/",
        lambda route: asked.append(1) or (
            route.fulfill(status=503) if len(asked) == 1 else route.continue_()
        ),
    )  # fmt: skip
    page.evaluate(
        """() => new MutationObserver(() => {
          if (document.querySelector(".says .error")) window.cried = true;
        }).observe(document.querySelector(".waits"), { childList: true, subtree: true })"""
    )
    for _ in range(100):
        if len(asked) > 2:
            break
        page.wait_for_timeout(100)
    assert len(asked) > 2
    assert not page.evaluate("window.cried")  # one request that is lost is no trouble
    page.unroute("**/progress/")
    hold(None)
    page.wait_for_selector("#progress[data-finished]")
    assert page.evaluate("window.shifts") == []
    while visit.faults:
        assert re.search("503|net::ERR|htmx", visit.faults.pop())


def test_a_batch_that_has_vanished_is_said_to_be_gone_and_not_asked_for(visit, hold):
    page = _waiting(visit, hold, 640)
    asked = []
    page.route("**/progress/", lambda route: asked.append(1) or route.fulfill(status=404))
    expect(page.locator(".says")).to_contain_text("no longer on the site")
    expect(page.locator("[data-live]")).to_contain_text("no longer on the site")
    page.wait_for_timeout(2500)  # it would have asked twice
    assert len(asked) == 1
    while visit.faults:
        assert re.search("404|htmx", visit.faults.pop())


def test_trouble_moves_nothing_on_the_waiting_page(visit, hold, folder):
    page = _waiting(visit, hold, 660)
    token = page.url.rstrip("/").rpartition("/")[2]
    says, grid = page.locator(".says"), page.locator("#chips")

    def change(statement: str, *values) -> None:
        with sqlite3.connect(folder / "showcase.sqlite3", timeout=20) as database:
            database.execute(statement, values)

    def setback(code: str) -> None:
        change("UPDATE showcase_batch SET setback = ? WHERE token = ?", code, token)

    def room() -> list[dict]:
        """Where the results begin at each width, while the page says the same."""
        found = []
        for width in (1280, 768, 360):
            page.set_viewport_size({"width": width, "height": 1400})
            found.append(grid.bounding_box())
        return found

    expect(says).to_contain_text("You may close this page")
    usual = room()
    page.evaluate("window.shifts = []")  # of this test's own doing
    for code, said in {"worker": "in the middle", "disk": "is full", "model": "by itself"}.items():
        setback(code)
        expect(says).to_contain_text(said)  # comes in at 360 pixels, where it is longest
        assert page.evaluate("window.shifts") == []
        assert room() == usual
        page.evaluate("window.shifts = []")
    setback("")
    # A worker's next heartbeat would set this right.
    change(
        "CREATE TRIGGER unready AFTER UPDATE OF ready ON showcase_worker WHEN NEW.ready "
        "BEGIN UPDATE showcase_worker SET ready = 0; END"
    )
    try:
        change("UPDATE showcase_worker SET ready = 1")
        expect(says).to_contain_text("The model is not loaded yet")
        assert room() == usual
    finally:
        change("DROP TRIGGER unready")
        change("UPDATE showcase_worker SET ready = 1")
    expect(says).to_contain_text("You may close this page")
    page.evaluate("window.shifts = []")
    page.route("**/progress/", lambda route: route.abort("connectionrefused"))
    expect(says).to_contain_text("The site does not answer")
    assert page.evaluate("window.shifts") == []
    assert room() == usual
    page.unroute("**/progress/")
    while visit.faults:
        assert re.search("net::ERR|htmx", visit.faults.pop())


def test_five_hundred_chips_by_drag_and_drop(visit):
    page = visit()
    drop(page, {f"many_{i:03d}.png": png(1000 + i, 32, 32) for i in range(501)})
    expect(page.locator("[data-note]")).to_contain_text("500")  # one is too many
    expect(page.locator("[data-total]")).to_contain_text("500 files")
    page.click("[data-send]")
    page.wait_for_url("**/batch/*/")
    page.wait_for_selector("#progress[data-finished]")
    expect(page.locator("#progress")).to_have_attribute("data-done", "500")
    expect(page.locator(".pager")).to_contain_text("page 1 of")
    assert page.evaluate("window.shifts") == []


def test_the_address_can_be_copied_and_shared(visit, site):
    page = visit()
    address = send(page, {"share.png": png(700)})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the address").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == address
    other = visit(address.removeprefix(site))
    expect(other.locator("#progress .tile")).to_have_count(1)
    assert other.get_by_role("button", name="Try the failed ones again").count() == 0
