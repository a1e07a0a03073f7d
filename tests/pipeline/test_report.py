"""The report: whole, self-contained, readable by everyone; and what it does where it cannot be."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paperlib.pipeline import claims, elsewhere, report, report_page, verdict_rules
from paperlib.utils import system
from paperlib.utils.errors import PaperError

CHROMIUM = system.browser()
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def copy(root, tmp_path_factory) -> Path:
    """The checkout's notebooks, shipped results and figures in a folder of their own."""
    folder = tmp_path_factory.mktemp("checkout")
    skip = shutil.ignore_patterns("failed", "runs", "*.svg", "*.pdf", "released.npz")
    for name in ("notebooks", "results/planet32", "figures/planet32"):
        shutil.copytree(root / name, folder / name, ignore=skip)
    return folder


@pytest.fixture(scope="module")
def made(copy) -> report.Written:
    return report.write(copy, ["planet32"], pdf=False)


@pytest.fixture(scope="module")
def text(made) -> str:
    return made.page.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every tag with its attributes, and the ids there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_every_claim_stands_there_with_its_verdict_and_the_way_to_it(text, copy):
    found = claims.evaluate(copy, "planet32")
    tags = Tags(text).found
    shown = {a["id"]: a for tag, a in tags if tag == "details" and "id" in a}
    assert set(shown) == {f.claim["id"] for f in found}
    there = elsewhere.evaluate(copy, "planet32")
    for finding in found:
        name = finding.claim["id"]
        verdicts = [finding.verdict, *([there[name].verdict] if name in there else [])]
        assert shown[name]["data-verdicts"] == "|".join(dict.fromkeys(verdicts))
    commands = {a["data-copy"] for _, a in tags if "data-copy" in a}
    assert {f.command for f in found if f.notebook} <= commands
    first = text.index('class="claim"')
    assert first < text.index('id="figures"') < text.index('id="errata"')


def test_the_second_column_says_where_it_departs_and_stands_beside_its_own_claims_alone(text, copy):
    facts = elsewhere.facts()
    groups = text.split('<section class="group"')[1:]
    known = {f.claim["id"]: f.claim["group"] for f in claims.evaluate(copy, "planet32")}
    named = {known[name] for name in facts["claims"]}
    assert named == {"Dehazing", "Losses and thresholds", "Recalibration"}
    for group in groups:
        name = re.search(r"<h3[^>]*>([^<]+)</h3>", group)[1]
        assert (facts["title"] in group) == (name in named)
        if name in named:
            assert "The recipe departs from the paper" in group
            assert "--profiles: 2" in group
            mine = [key for key in facts["claims"] if known[key] == name]
            assert group.count(f'<span class="label">{facts["title"]}</span>') == len(mine)


def test_it_asks_no_network_for_anything_and_is_small(text, made):
    assert made.page.stat().st_size < 15e6
    for tag, attributes in Tags(text).found:
        for key in ("src", "data", "poster", "srcset"):
            assert attributes.get(key, "data:").startswith("data:"), (tag, attributes)
        assert tag not in {"link", "iframe", "object", "embed", "base"}
    outside = text.replace("data:image/webp;base64,", "")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|sendBeacon", outside)


def test_its_inner_links_lead_somewhere(text, root):
    tags = Tags(text).found
    ids = {a["id"] for _, a in tags if "id" in a}
    for tag, attributes in tags:
        target = attributes.get("href") if tag == "a" else None
        if target is None or target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        if not path:
            assert anchor in ids, target
        elif path.startswith("../"):
            assert (root / "results" / path).resolve().exists(), target


def test_pictures_have_words_and_equal_results_give_an_equal_page(text, copy):
    pictures = [a for tag, a in Tags(text).found if tag == "img"]
    assert len(pictures) >= 5
    assert all(len(a["alt"] or "") > 20 for a in pictures)
    assert report.write(copy, ["planet32"], pdf=False).page.read_text(encoding="utf-8") == text


def test_a_changed_result_is_shown_as_an_error_and_is_a_fault(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "c")
    path = tmp_path / "c/results/planet32/label_counts.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    made = report.write(tmp_path / "c", ["planet32"], pdf=False)
    (fault,) = (f for f in made.faults if "label_counts.csv" in f)
    assert "was changed after 05_train wrote it — paper run 05 --profile planet32" in fault
    assert "was changed after 05_train wrote it" in made.page.read_text(encoding="utf-8")


def test_only_the_profile_held_to_account_has_faults(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "c")
    root = tmp_path / "c"
    (root / "results/sample").mkdir()
    shutil.copy(root / "results/planet32/manifest.json", root / "results/sample")
    path = root / "results/planet32/label_counts.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    made = report.write(root, held="sample", pdf=False)
    assert made.faults
    assert all(fault.startswith("sample: ") for fault in made.faults)


def test_no_results_at_all_is_one_clear_line(tmp_path):
    with pytest.raises(PaperError, match="there are no results yet — paper run"):
        report.write(tmp_path)


def test_without_a_browser_it_says_so_and_leaves_no_old_pdf(copy, monkeypatch):
    (copy / "results/report.pdf").write_bytes(b"old")
    monkeypatch.setenv("PAPER_BROWSER", "no-such-browser")
    made = report.write(copy, ["planet32"])
    assert made.pdf is None
    assert "no Chromium on this machine" in made.no_pdf
    assert not (copy / "results/report.pdf").exists()


def test_the_place_in_the_code_is_the_line_of_the_function(root):
    place = report_page.place_in_code(root, "studies.results:table1")
    line = (root / place["path"]).read_text(encoding="utf-8").splitlines()[place["line"] - 1]
    assert line.startswith("def table1(")
    with pytest.raises(KeyError):
        report_page.place_in_code(root, "studies.results:no_such_function")


def test_numbers_as_people_write_them():
    assert [report_page.plain(v) for v in (40479, 0.92832, 25 / 9)] == [
        "40,479",
        "0.92832",
        "2.7778",
    ]
    assert [report_page.tidy(v) for v in (1.1e-16, 0.175294, 25088)] == [
        "1e−16",
        "0.1753",
        "25,088",
    ]


# ---- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@needs_browser
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1366, "light"), (1366, "dark")])
def test_it_reads_at_every_width_and_axe_finds_nothing(chromium, made, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(made.page.as_uri())
    page.evaluate("document.querySelector('details.claim').open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    serious = [
        (violation["id"], [n["html"][:120] for n in violation["nodes"]][:3])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    context.close()


@needs_browser
@pytest.mark.browser
@pytest.mark.slow
def test_verdicts_of_two_profiles_stay_in_their_columns(chromium, copy, tmp_path):
    """As `make paper` leaves it, with the longest verdict everywhere."""
    both = shutil.copytree(copy, tmp_path / "both")
    shutil.copytree(both / "results/planet32", both / "results/sample")
    written = report.write(both, ["planet32", "sample"], pdf=False)
    page = chromium.new_page()
    page.goto(written.page.as_uri())
    changed = page.evaluate("""[...document.querySelectorAll('details .badge')]
        .map((one) => one.textContent = '○ cannot be tested here').length""")
    assert changed > 99
    for width in (390, 768, 1024, 1366):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (
            page.evaluate("""[...document.querySelectorAll('.badge')].filter((one) => {
            const cell = one.parentElement.getBoundingClientRect();
            return cell.width && one.getBoundingClientRect().right > cell.right + 1;
        }).length""")
            == 0
        ), width
    page.close()


@needs_browser
@pytest.mark.browser
@pytest.mark.slow
def test_a_claim_is_found_by_word_and_by_verdict(chromium, made, copy):
    page = chromium.new_page()
    page.goto(made.page.as_uri())
    shown = "details.claim:not([hidden])"
    page.fill("#search", "bare ground raises")
    assert page.locator(shown).evaluate_all("e => e.map(d => d.id)") == [
        "dehazing-raises-water-and-bare-ground"
    ]
    page.fill("#search", "no such claim")
    assert page.locator(shown).count() == 0
    assert page.locator("#none").is_visible()
    page.fill("#search", "")
    page.get_by_role("button", name="○ cannot be tested here").click()
    found = {f.claim["id"]: f.verdict for f in claims.evaluate(copy, "planet32")}
    there = {name: one.verdict for name, one in elsewhere.evaluate(copy, "planet32").items()}
    cannot = verdict_rules.CANNOT  # here, or on the other chips
    wanted = {name for name, verdict in found.items() if cannot in (verdict, there.get(name))}
    assert {*page.locator(shown).evaluate_all("e => e.map(d => d.id)")} == wanted
    page.goto(made.page.as_uri() + "#headline")
    page.reload()
    assert page.locator("#headline").evaluate("d => d.open")
    page.close()


@needs_browser
@pytest.mark.browser
@pytest.mark.slow
def test_the_pdf_is_made(made, tmp_path):
    target = tmp_path / "report.pdf"
    assert report.to_pdf(made.page, target) == ""
    assert target.read_bytes().startswith(b"%PDF")
    assert 50e3 < target.stat().st_size < 15e6
