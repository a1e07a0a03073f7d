"""The page `derivation.html` in a real Chromium: the same pictures as Python, and usable by all."""

from __future__ import annotations

import base64
import hashlib
import re

import cv2
import numpy as np
import pytest

from paperlib import dehaze
from paperlib.teaching import dark_channel as lab
from paperlib.teaching import derivation
from paperlib.utils import system

CHROMIUM = system.browser()
browser_only = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Open the page (or another text) at a size; every error on it fails the test."""
    errors: list[str] = []
    pages = []

    def open_page(text=None, width=1200, height=900, **options):
        page = chromium.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked(request.url))
        if text is None:
            page.goto(derivation.PAGE.as_uri())
        else:
            page.set_content(text)
        page.wait_for_selector("html[data-ready]", timeout=30_000)
        settle(page)
        return page

    def asked(address):
        if not address.startswith(("file:", "data:", "blob:", "about:")):
            errors.append(f"the network is asked for {address}")

    yield open_page
    for page in pages:
        page.close()
    assert errors == []


def settle(page):
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def set_slider(page, name, value):
    """Move the first slider of that name, as a reader does."""
    page.evaluate(
        """([name, value]) => {
          const input = document.querySelector(`[data-slider="${name}"] input`);
          input.value = SLIDERS[name][4](value);
          input.dispatchEvent(new Event("input"));
        }""",
        [name, value],
    )
    settle(page)


# ---- the file ------------------------------------------------------------------------------------


def test_the_committed_page_is_what_its_parts_make():
    assert derivation.PAGE.read_text(encoding="utf-8") == derivation.build(), (
        "python -m paperlib.teaching.derivation"
    )


def test_the_page_is_one_small_file_that_asks_for_nothing():
    text = derivation.PAGE.read_text(encoding="utf-8")
    assert len(text.encode()) < 1e6
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", text.split("<script")[0])
    assert all(address.startswith("#") for address in addresses)
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    for number in range(1, 10):
        assert f"<span>({number})</span>" in text


def test_every_text_is_in_both_languages():
    text = (derivation.PAGE.parent / "derivation/page.html").read_text(encoding="utf-8")
    assert text.count('lang="en"') - 1 == text.count('lang="zh"') - 1  # <html>, and the button
    questions = (derivation.PAGE.parent / "derivation/questions.js").read_text(encoding="utf-8")
    for english, chinese in re.findall(r'\["([^"]*[A-Za-z]{4}[^"]*)", "([^"]*)"\]', questions):
        assert re.search(r"[\u4e00-\u9fff]", chinese), english


@pytest.mark.parametrize("name", derivation.SCENES)
def test_an_embedded_scene_is_the_generated_one(name):
    text = derivation.PAGE.read_text(encoding="utf-8")
    data = re.search(rf'"{re.escape(name)}": "data:image/webp;base64,([^"]+)"', text)[1]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(picture[..., ::-1], derivation.scene_of(name))


# ---- pictures of one's own -----------------------------------------------------------------------

RAMP = np.linspace(0, 1, 48).reshape(6, 8)
LIKE = {
    "grey floats": RAMP,
    "grey, one channel": np.rint(RAMP * 255).astype(np.uint8)[..., None],
    "float32 colours": np.repeat(RAMP[..., None], 3, 2).astype(np.float32),
    "int64": np.rint(np.repeat(RAMP[..., None], 3, 2) * 255).astype(np.int64),
    "RGBA": np.dstack([np.rint(np.repeat(RAMP[..., None], 3, 2) * 255), np.full((6, 8), 9)]).astype(
        np.uint8
    ),
    "uint16": np.rint(np.repeat(RAMP[..., None], 3, 2) * 65535).astype(np.uint16),
    "list": np.rint(np.repeat(RAMP[..., None], 3, 2) * 255).astype(int).tolist(),
}


@pytest.mark.parametrize("kind", LIKE)
def test_any_usual_picture_is_accepted(kind):
    picture = derivation.picture_of(LIKE[kind])
    assert picture.dtype == np.uint8
    wanted = np.rint(np.repeat(RAMP[..., None], 3, 2) * 255)
    assert np.abs(picture - wanted).max() <= 1


def test_bool_path_and_pil_pictures_are_accepted(tmp_path):
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    np.testing.assert_array_equal(derivation.picture_of(tmp_path / "a.png"), colours)
    np.testing.assert_array_equal(derivation.picture_of(Image.fromarray(colours)), colours)
    assert derivation.picture_of(RAMP > 0.5).max() == 255


def test_a_large_picture_is_shrunk():
    assert derivation.picture_of(np.zeros((3000, 4000, 3), np.uint8)).shape == (384, 512, 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.full((4, 4, 3), 2.0), "0…1"),
        (np.full((4, 4, 3), np.nan), "0…1"),
        (np.zeros((4, 4, 5)), "three colours"),
        (np.zeros((4, 4, 3)) - 1, "0…1"),
        (np.full((4, 4, 3), 300), "0…255"),
        (np.zeros(4), "an array"),
        ("nowhere.png", "no picture file"),
    ],
)
def test_what_is_no_picture_is_told_why(wrong, says):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        derivation.picture_of(wrong, "mine")


# ---- in the browser ------------------------------------------------------------------------------

CASES = """async (cases) => cases.map(({height, width, data, p, light}) => {
  const raw = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const found = Method.steps({height, width, data: raw}, p, light);
  return {light: found.light, coarse: [...found.coarse], fine: [...found.fine],
          dark: [...found.dark], clear: btoa(String.fromCharCode.apply(null, found.clear.data))};
})"""


class TestInTheBrowser:
    pytestmark = browser_only

    def test_the_method_is_that_of_python_in_many_cases(self, opened):
        page = opened()
        rng = np.random.default_rng(5)
        shapes = ((32, 32), (64, 40), (37, 90), (96, 96), (5, 9), (1, 30), (30, 1), (1, 1))
        cases, wanted = [], []
        for number in range(96):
            height, width = shapes[number % len(shapes)]
            if number % 3 == 2:
                image = rng.integers(0, 256, (height, width, 3), np.uint8)
            else:
                names = list(derivation.SCENES)
                scene = derivation.scene_of(names[number % len(names)])
                top, left = rng.integers(0, 150, 2)
                scene = np.ascontiguousarray(scene[top : top + height, left : left + width])
                depth = lab.DEPTHS[number % 3]
                t = lab.depth_map((height, width), rng.uniform(0, 0.95), depth)
                image = dehaze.add_haze(scene, t, lab.LIGHT)
            p = {
                "patch": int(rng.choice([1, 2, 3, 4, 7, 15, 61])),
                "omega": float(rng.choice([0.0, 0.5, 0.95, 1.0])),
                "t0": float(rng.choice([0.01, 0.1, 0.5])),
                "fraction": float(rng.choice([0.0001, 0.01, 0.1, 1.0])),
                "radius": int(rng.choice([0, 1, 5, 40])),
                "eps": float(rng.choice([1e-5, 1e-3, 0.1])),
            }
            cases.append(
                {"height": height, "width": width, "p": p, "light": None,
                 "data": base64.b64encode(image.tobytes()).decode()}
            )  # fmt: skip
            wanted.append((image, p))
        found = page.evaluate(CASES, cases)
        for got, (image, p) in zip(found, wanted, strict=True):
            clear = np.frombuffer(base64.b64decode(got["clear"]), np.uint8).reshape(image.shape)
            expected = dehaze.dehaze_reference(image, **p)
            assert np.abs(clear.astype(int) - expected).max() <= 1, (image.shape, p)
            dark = dehaze.dark_channel(image, p["patch"])
            light = dehaze.atmospheric_light(image, dark, p["fraction"])
            assert got["light"] == light.tolist(), (image.shape, p)
            coarse = dehaze.transmission(image, light, p["patch"], p["omega"])
            fine = dehaze.guided_filter(dehaze.luma(image), coarse, p["radius"], p["eps"])
            np.testing.assert_array_equal(got["dark"], dark.ravel())
            np.testing.assert_allclose(got["coarse"], coarse.ravel(), atol=1e-12)
            np.testing.assert_allclose(got["fine"], fine.ravel(), atol=1e-8)

    @pytest.mark.parametrize("depth", lab.DEPTHS)
    def test_haze_depth_and_quality_are_those_of_python(self, opened, depth):
        page = opened()
        scene = derivation.scene_of("mine")[:60, :80]
        t = lab.depth_map((60, 80), 0.6, depth)
        got = page.evaluate(
            """([data, depth]) => {
              const scene = {height: 60, width: 80, data: Uint8Array.from(data)};
              const t = Method.depthMap(60, 80, 0.6, depth), hazy = Method.addHaze(scene, t, LIGHT);
              return [[...t], [...hazy.data], Method.psnr(scene, hazy), Method.ssim(scene, hazy)];
            }""",
            [scene.ravel().tolist(), depth],
        )
        np.testing.assert_allclose(got[0], t.ravel(), atol=1e-12)
        hazy = dehaze.add_haze(scene, t, lab.LIGHT)
        assert np.abs(np.array(got[1]) - hazy.ravel().astype(int)).max() <= 1
        psnr, ssim = lab.quality(scene, hazy)
        assert got[2] == pytest.approx(psnr, abs=1e-3)
        assert got[3] == pytest.approx(ssim, abs=1e-4)

    def test_what_is_drawn_is_what_is_computed(self, opened):
        page = opened()
        page.check("#all")
        set_slider(page, "omega", 0.7)
        set_slider(page, "radius", 12)
        host = page.locator('#bench [data-map="clear"]')
        host.scroll_into_view_if_needed()
        settle(page)
        pixels = host.evaluate(
            """(host) => { const c = host.querySelector("canvas");
              return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]; }"""
        )
        drawn = np.array(pixels).reshape(256, 256, 4)[..., :3]
        scene = derivation.scene_of("river in the forest")
        hazy = dehaze.add_haze(scene, lab.depth_map((256, 256), 0.55, "slope"), lab.LIGHT)
        expected = dehaze.dehaze_reference(hazy, omega=0.7, radius=12)
        assert np.abs(drawn - expected.astype(int)).max() <= 1
        numbers = page.locator("#bench [data-numbers]").inner_text()
        assert f"→ {lab.quality(scene, expected)[0]:.1f} dB" in numbers

    def test_the_probe_puts_its_numbers_into_the_equations(self, opened):
        page = opened()
        page.check("#all")
        stage = page.locator('[data-map="hazy"] .stage').first
        stage.scroll_into_view_if_needed()
        settle(page)
        box = stage.bounding_box()
        # a click on the element waits until it stands still: on a busy machine the page is still
        # laying itself out, and a click at a point of the window would meet another pixel
        middle = {"x": box["width"] * 64.5 / 256, "y": box["height"] * 192.5 / 256}
        stage.click(position=middle)
        settle(page)
        assert "pixel (64, 192)" in page.locator('#step-7 [data-worked="7"]').inner_text()
        stage.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
        settle(page)
        scene = derivation.scene_of("river in the forest")
        hazy = dehaze.add_haze(scene, lab.depth_map((256, 256), 0.55, "slope"), lab.LIGHT)
        dark = dehaze.dark_channel(hazy)
        light = dehaze.atmospheric_light(hazy, dark)
        t7 = dehaze.transmission(hazy, light, omega=1.0)[182, 65]
        worked = page.locator('#step-7 [data-worked="7"]').inner_text()
        assert "pixel (65, 182)" in worked
        assert f"= {t7:.3f}" in worked
        page.wait_for_function("document.querySelector('#heard').textContent.includes('65, 182')")

    def test_a_map_stays_hidden_until_guessed(self, opened):
        page = opened()
        hidden = page.locator('#step-1 [data-map="ground_dark"]')
        assert not hidden.is_visible()
        page.locator("#step-1 .choices button").first.click()
        assert hidden.is_visible()
        # The reason is written with the next frame, which a busy machine draws late.
        page.locator("#step-1 .why", has_text="✘").wait_for()
        page.locator("#step-1 .choices button").nth(1).click()
        page.locator("#step-1 .why", has_text="✔").wait_for()

    def test_a_hazy_photo_is_not_hazed_again(self, opened, tmp_path):
        page = opened()
        photo = dehaze.add_haze(derivation.scene_of("mine"), 0.5, lab.LIGHT)
        cv2.imwrite(str(tmp_path / "photo.png"), photo[:100, :140, ::-1])
        page.set_input_files("#file", str(tmp_path / "photo.png"))
        page.wait_for_function("now.width === 140")
        assert page.evaluate("now.truth === null && now.image === now.picture")
        assert "no truth" in page.locator("#bench [data-numbers]").inner_text()
        assert not page.locator('#bench [data-map="truth"]').is_visible()
        page.locator('[name="light"][value="given"]').check()
        page.locator("#colour").fill("#ccd4d1")
        settle(page)
        light = np.array([0xCC, 0xD4, 0xD1]) / 255
        t = dehaze.transmission(photo[:100, :140], light)
        assert page.evaluate("now.coarse[5000]") == pytest.approx(t.ravel()[5000], abs=1e-9)
        page.locator('[name="kind"][value="clear"]').check()
        settle(page)
        assert page.evaluate("now.truth !== null && now.t !== null")
        (tmp_path / "no.png").write_text("no picture")
        page.set_input_files("#file", str(tmp_path / "no.png"))
        page.wait_for_selector("#note:has-text('cannot be read')")

    def test_a_photo_after_steps_were_opened_leaves_nothing_of_the_scene(self, opened, tmp_path):
        """Seen failing: maps that need the truth were still on the screen, and the page stopped."""
        photo = derivation.scene_of("closed forest")[:90, :120]
        cv2.imwrite(str(tmp_path / "photo.png"), np.ascontiguousarray(photo[..., ::-1]))
        page = opened()
        page.check("#all")
        for step in ("#step-5", "#step-6", "#bench"):
            page.locator(step).scroll_into_view_if_needed()
            settle(page)
        page.set_input_files("#file", str(tmp_path / "photo.png"))
        page.wait_for_function("now.width === 120")
        settle(page)
        assert page.locator("#scene").evaluate("e => e.selectedOptions[0].textContent") == (
            "a picture of your own"
        )
        assert "no truth is known" in page.locator("#bench [data-numbers]").inner_text()
        page.select_option("#scene", "mine")
        settle(page)
        assert page.evaluate("now.width") == 256

    def test_the_ring_is_on_the_pixel_that_the_text_names(self, opened):
        page = opened()
        page.check("#all")
        page.evaluate("probe(110, 200)")
        settle(page)
        text = page.locator('#step-1 [data-worked="1"]').inner_text()
        x, y = map(int, re.search(r"of pixel \((\d+), (\d+)\)", text).groups())
        for name in ("ground", "ground_dark"):
            host = page.locator(f'#step-1 [data-map="{name}"]')
            host.scroll_into_view_if_needed()
            settle(page)
            ring = host.locator("svg .least")
            at = [float(ring.get_attribute(k)) - 0.5 for k in ("cx", "cy")]
            assert at == [x, y]
        ground = derivation.scene_of("river in the forest")
        least = ground[200 - 7 : 208, 110 - 7 : 118].min()
        assert ground[y, x].min() == least

    def test_the_parts_of_the_error_add_up_to_it(self, opened):
        page = opened()
        page.check("#all")
        lines = page.locator('#step-8 [data-worked="8"]').inner_text().replace("−", "-")
        found, true = map(float, re.search(r"= (-?[\d.]+); true t (-?[\d.]+)", lines).groups())
        parts = re.search(r"t̃ - t = (\S+) - (\S+) ([+-]) (\S+) = (\S+?):", lines).groups()
        left, prior, sign, rest, error = (p if p in "+-" else float(p) for p in parts)
        assert error == pytest.approx(found - true, abs=1e-9)
        rest = rest if sign == "+" else -rest
        assert left - prior + rest == pytest.approx(error, abs=1e-9)

    def test_a_note_compares_with_where_the_slider_was_taken(self, opened):
        page = opened()
        page.check("#all")
        before = page.evaluate("now.psnr")
        for value in (0.9, 0.8, 0.5):
            set_slider(page, "omega", value)
            settle(page)
        effect = page.locator('[data-slider="omega"] .effect').first
        assert f"PSNR {before:.2f} → {page.evaluate('now.psnr'):.2f} dB" in effect.inner_text()
        page.locator('[data-slider="omega"] input').first.dispatch_event("change")  # let go
        between = page.evaluate("now.psnr")
        set_slider(page, "omega", 0.6)
        settle(page)
        assert f"PSNR {between:.2f} →" in effect.inner_text()
        set_slider(page, "patch", 3)
        settle(page)
        assert effect.inner_text() == "", "of a slider that is not the one that moved"

    def test_nothing_changes_only_where_nothing_does(self, opened):
        page = opened()
        page.check("#all")
        set_slider(page, "t0", 0.05)
        settle(page)
        effect = page.locator('[data-slider="t0"] .effect').first
        assert effect.inner_text().startswith("0 pixels have t below t₀. Nothing changes. PSNR")
        set_slider(page, "strength", 0.95)
        set_slider(page, "t0", 0.3)
        settle(page)
        page.locator('[data-slider="t0"] input').first.dispatch_event("change")  # let go
        set_slider(page, "t0", 0.01)
        settle(page)
        assert "Nothing changes" not in effect.inner_text()

    def test_a_guess_about_the_picture_is_judged_again_for_another_one(self, opened):
        page = opened()
        page.locator("#step-2 .choices button").nth(2).click()
        settle(page)
        why = page.locator("#step-2 .why")
        assert "✔" in why.inner_text()
        page.locator('#step-6 [data-go="bare ground"]').click()
        settle(page)
        assert page.locator("#scene").input_value() == "bare ground"
        assert "✘ It is 18 %" in why.inner_text()

    def test_a_slip_of_the_keyboard_is_no_try(self, opened):
        page = opened()
        host = page.locator("#exercise-haze")
        for answer in ("", "abc", "0.62"):
            host.locator("input").fill(answer)
            host.locator("form button").first.click()
        assert not host.locator(".link").is_visible()
        host.locator("input").fill("1.02")
        host.locator("form button").first.click()
        assert host.locator(".link").is_visible()
        host.locator("input").fill("0.48")
        host.locator("form button").first.click()
        assert not host.locator(".link").is_visible(), "the way stands there already"

    def test_without_haze_there_is_no_end_of_decibels(self, opened):
        page = opened()
        page.check("#all")
        set_slider(page, "strength", 0)
        settle(page)
        assert "Infinity" not in page.locator("main").inner_text()
        assert "PSNR ∞ →" in page.locator("#bench [data-numbers]").inner_text()

    def test_a_scene_called_like_a_built_in_one_does_not_hide_it(self, opened):
        page = opened(derivation.page({"mine": RAMP}))
        names = page.evaluate("Object.keys(pictures)")
        assert names[0] == "mine"
        assert "mine (scene)" in names
        assert page.evaluate("[now.height, now.width]") == [6, 8]

    @pytest.mark.parametrize("name", ["haze", "dark", "light", "transmission", "recover", "sand"])
    def test_an_exercise_names_the_mistake_and_shows_the_way_after_two(self, opened, name):
        page = opened()
        entry = page.evaluate(f"EXERCISES.find((e) => e.id === '{name}')")
        host = page.locator(f"#exercise-{name}")

        def answer(value):
            host.locator("input").fill(str(value))
            host.locator("form button").first.click()
            return host.locator(".why").inner_text()

        assert len(entry["wrong"]) >= 6
        assert not host.locator(".link").is_visible()
        for value, (why, _) in entry["wrong"]:
            said = answer(value)
            assert "✘" in said
            assert why in said
        host.locator(".link").click()
        assert entry["way"][0] in host.locator(".why").inner_text()
        assert "none of the usual" in answer(123.4)
        assert "number" in answer("so so")
        assert "✔" in answer(str(entry["right"]).replace(".", ","))
        assert page.locator("#done").inner_text() == "1 of 6 done"

    def test_the_right_answers_are_right(self, opened):
        entries = {e["id"]: e["right"] for e in opened().evaluate("EXERCISES")}
        scene = np.full((1, 1, 3), 0.2)
        assert entries["haze"] == pytest.approx(dehaze.add_haze(scene, 0.6, 0.9)[0, 0, 0])
        corner = [[[90, 70, 80], [60, 95, 75]], [[85, 65, 55], [99, 50, 88]]]
        assert entries["dark"] == dehaze.dark_channel(np.array(corner, np.uint8), 3)[0, 0]
        dark = np.array([[90, 150, 40, 150, 160, 100, 30, 150, 120, 60]], np.uint8)
        image = np.array(
            [
                [120, 200, 255, 190, 170, 110, 60, 160, 236, 80],
                [110, 190, 255, 190, 170, 130, 70, 180, 236, 90],
                [100, 180, 250, 190, 180, 140, 80, 170, 230, 95],
            ],
            np.uint8,
        ).T[None]
        assert entries["light"] == dehaze.atmospheric_light(image, dark, 0.2)[0] * 255
        image = np.array([[[0.40, 0.36, 0.42]]])
        t = dehaze.transmission(image, np.array([0.8, 0.9, 0.7]), 1, 0.9)
        assert entries["transmission"] == pytest.approx(t[0, 0])
        j = dehaze.recover(np.full((1, 1, 3), 0.85), 0.04, np.full(3, 0.9), 0.1)
        assert entries["recover"] == pytest.approx(j[0, 0, 0])
        sand = dehaze.add_haze(np.full((1, 1, 3), 0.6), 0.7, 0.8)
        assert entries["sand"] == pytest.approx(dehaze.transmission(sand, np.full(3, 0.8))[0, 0])

    @pytest.mark.parametrize("language", ["en", "zh"])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_serious(self, opened, language, scheme):
        from axe_playwright_python.sync_playwright import Axe

        page = opened(derivation.page(language=language), color_scheme=scheme)
        page.check("#all")
        page.locator("#step-1 .choices button").first.click()
        page.locator("#exercise-haze form button").first.click()
        settle(page)
        found = Axe().run(page).response["violations"]
        bad = [
            (v["id"], v["nodes"][0]["html"][:200])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert bad == []

    @pytest.mark.parametrize("width", [360, 820, 1500])
    def test_nothing_is_cut_off_at_any_width(self, opened, width):
        page = opened(width=width, height=1100)
        page.check("#all")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.evaluate(
            """() => [...document.querySelectorAll("input, button, select, output, canvas")]
              .filter((e) => e.offsetParent && (e.getBoundingClientRect().right > innerWidth + 1
                || e.getBoundingClientRect().left < -1)).map((e) => e.outerHTML.slice(0, 90))"""
        )
        assert outside == []

    def test_a_finger_moves_probe_and_slider(self, opened):
        page = opened(width=820, height=1180, has_touch=True)
        page.check("#all")
        stage = page.locator('#step-3 [data-map="true_t"] .stage')
        stage.scroll_into_view_if_needed()
        stage.tap(position={"x": 10, "y": 10})
        settle(page)
        assert page.evaluate("state.x < 20 && state.y < 20")
        slider = page.locator('[data-slider="omega"] input').first
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        slider.tap(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
        settle(page)
        assert page.evaluate("state.omega") == pytest.approx(0.25, abs=0.05)

    def test_every_slider_says_what_it_changed(self, opened):
        page = opened()
        page.check("#all")
        for name in ("strength", "patch", "omega", "t0", "fraction", "radius", "eps"):
            value = {"t0": 0.6, "fraction": 0.3, "eps": 0.05, "patch": 31, "radius": 5}.get(
                name, 0.4
            )
            set_slider(page, name, value)
            effect = page.locator(f'[data-slider="{name}"] .effect').first.inner_text()
            assert "PSNR" in effect, name
        page.click("#reset")
        settle(page)
        assert page.evaluate("Object.keys(START).every((k) => state[k] === START[k])")
        assert "0 pixels" in page.locator('[data-slider="t0"] .effect').first.inner_text()

    def test_the_bench_alone_is_the_panel_of_the_notebook(self, opened):
        page = opened(derivation.page({"field": RAMP}, bench=True))
        assert page.locator("#bench").is_visible()
        assert not page.locator("#step-1").is_visible()
        assert page.locator('#bench [data-slider="omega"]').is_visible()

    def test_it_works_under_a_policy_that_allows_its_own_script_and_style_only(self, chromium):
        """As the showcase serves it: no inline style attribute, no eval, no connection."""
        text = derivation.page()
        hashes = {
            kind: " ".join(
                f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
                for part in re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", text, flags=re.S)
            )
            for kind in ("style", "script")
        }
        policy = (
            f"default-src 'none'; img-src data: blob:; style-src {hashes['style']}; "
            f"script-src {hashes['script']}"
        )
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        page = chromium.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.route("**/*", lambda route: route.fulfill(body=text, headers=headers))
        page.goto("http://site.test/derivation/")
        page.wait_for_selector("html[data-ready]", timeout=30_000)
        page.check("#all")
        page.locator("#exercise-sand").scroll_into_view_if_needed()
        settle(page)
        assert page.evaluate("now.clear.data.length") == 3 * 256 * 256
        assert [line for line in told if "favicon" not in line] == []
        page.close()
