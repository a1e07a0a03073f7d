"""Verdicts: planted results for each of them, stale and missing outputs, and the file itself."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import quotations

from paperlib import published
from paperlib.evaluation import selection
from paperlib.labels import LABELS
from paperlib.pipeline import claims, manifest, verdict_rules
from paperlib.pipeline.verdict_rules import CANNOT, CONTRADICTED, ERROR, INCONCLUSIVE, REPRODUCED
from paperlib.studies import deviations, results
from paperlib.utils import files
from paperlib.utils.errors import PaperError


class Planted:
    """A checkout with one notebook, whose results are planted, on a profile of real chips."""

    def __init__(self, root: Path, profile: str = "planet32") -> None:
        self.root, self.profile = root, profile
        self.folder = root / "results" / profile
        self.entry = {
            "outputs": {},
            "runs": {},
            "runs_there": None,
            "looked_in": [""],
            "made_from": {},
        }

    def table(self, name: str, rows: list[dict] | pd.DataFrame) -> None:
        """Write a result file, as the notebook that declares it would, with its manifest."""
        path = self.folder / name
        frame = pd.DataFrame(rows)
        files.write_text(path, frame.to_csv(index=False, float_format="%.6g"))
        self.entry["outputs"][path.relative_to(self.root).as_posix()] = files.sha256(path)
        self.declare(sorted(Path(p).name for p in self.entry["outputs"]))

    def declare(self, outputs: list[str], needs: tuple[str, ...] = ()) -> None:
        parameters = nbformat.v4.new_code_cell('profile = "sample"\ndata = ""')
        parameters.metadata["tags"] = ["parameters"]
        code = nbformat.v4.new_code_cell(f'paper.save_table(x, "{Path(outputs[-1]).stem}")')
        code.id = "writes-it"
        node = nbformat.v4.new_notebook(cells=[parameters, code])
        node.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
        node.metadata["paper"] = {
            "title": "t", "section": "1", "figures": [], "results": outputs, "minutes": 1,
        }  # fmt: skip
        path = self.root / "notebooks" / "08_planted.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(node, path)
        self.save()

    def save(self) -> None:
        digest = manifest.digest(json.dumps({}, sort_keys=True))
        self.entry["made_from"] = {"needs": digest}
        value = {"schema": manifest.SCHEMA, "notebooks": {"08_planted": self.entry}, "run": {}}
        manifest.write(self.folder, {**value, "run": {"notebooks": {}}})

    def judge(self, claim: dict) -> claims.Finding:
        return claims.judge(claim, claims.Results.of(self.root, self.profile))


@pytest.fixture
def planted(tmp_path):
    return Planted(tmp_path)


def claim(*rules: dict, **more) -> dict:
    return {"id": "c", "rule": [{"output": "x.csv", **rule} for rule in rules], **more}


def known(name: str) -> dict:
    return next(c for c in published.claims() if c["id"] == name)


NUMBER = {"kind": "number", "column": "f2", "low": "low", "high": "high", "tolerance": 0.01}
FULL = {"full": True}


# ---- each verdict, by each kind of rule ---------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.90, 0.92, REPRODUCED),  # holds the printed number
        (0.935, 0.95, REPRODUCED),  # within the tolerance of it
        (0.945, 0.95, CONTRADICTED),
        (0.80, 0.85, CONTRADICTED),
    ],
)
def test_a_number(planted, low, high, verdict):
    planted.table("x.csv", [{"f2": (low + high) / 2, "low": low, "high": high}])
    found = planted.judge(claim(NUMBER, published=0.93))
    assert found.verdict == verdict
    measure = verdict_rules.Measure("", pytest.approx((low + high) / 2), low, high)
    assert found.measures == (measure,)
    assert (found.notebook, found.cell) == ("08_planted", "writes-it")
    assert found.output == "results/planet32/x.csv"
    assert found.command == "paper run 08 --profile planet32"


def test_a_number_whose_interval_is_empty_is_judged_by_itself(planted):
    planted.table("x.csv", [{"f2": 0.5, "low": np.nan, "high": np.nan}])
    assert planted.judge(claim(NUMBER, published=0.93)).verdict == CONTRADICTED
    planted.table("x.csv", [{"f2": 0.935, "low": np.nan, "high": np.nan}])
    assert planted.judge(claim(NUMBER, published=0.93)).verdict == REPRODUCED


@pytest.mark.parametrize(
    ("low", "high", "full"),
    [
        (0.95, 0.96, REPRODUCED),  # above 0.9
        (0.89, 0.93, INCONCLUSIVE),  # holds 0.9
        (0.85, 0.88, CONTRADICTED),  # below it
    ],
)
def test_a_number_printed_for_the_full_network_judges_it_alone(tmp_path, low, high, full):
    """In either direction: 32 pixels are not held to a number printed for 224."""
    rule = NUMBER | FULL | {"above": True}
    verdicts = {}
    for profile in ("planet32", "paper"):
        planted = Planted(tmp_path / profile, profile)
        planted.table("x.csv", [{"f2": (low + high) / 2, "low": low, "high": high}])
        found = planted.judge(claim(rule, published=0.9))
        verdicts[profile] = found.verdict
        assert found.measures[0].low == low  # shown all the same
    assert verdicts == {"planet32": CANNOT, "paper": full}


def test_of_the_papers_numbers_none_is_held_against_a_smaller_network():
    """Every rule that reads a printed score says that it is one of the full network."""
    scores = {"table1_f2.csv", "overall_f2.csv", "table1_distances.csv"}
    for one in published.claims():
        for rule in one["rule"]:
            if rule.get("output") in scores and rule["kind"] != "correlation":
                assert rule["full"], one["id"]


def test_an_interval_too_wide_is_inconclusive(planted):
    planted.table("x.csv", [{"f2": 0.5, "low": 0.2, "high": 0.8}])
    found = planted.judge(claim(NUMBER | {"widest": 0.25}, published=0.5))
    assert found.verdict == INCONCLUSIVE
    assert "0.60 wide" in found.reason


def test_claims_about_real_chips_are_not_judged_on_generated_ones(tmp_path):
    planted = Planted(tmp_path, "sample")
    planted.table("x.csv", [{"f2": 0.93, "low": 0.92, "high": 0.94}])
    found = planted.judge(claim(NUMBER, published=0.93, needs="planet"))
    assert found.verdict == CANNOT
    assert "generated scenes" in found.reason
    assert found.measures[0].value == 0.93  # shown all the same
    assert planted.judge(claim(NUMBER, published=0.93)).verdict == REPRODUCED


def test_counts_and_shares_of_rows(planted):
    rows = [{"label": "chips", "train": 80, "validation": 20, "test": 0},
            {"label": "a", "train": 5, "validation": 0, "test": 0},
            {"label": "b", "train": 0, "validation": 0, "test": 0}]  # fmt: skip
    planted.table("label_counts.csv", rows)
    chips = planted.judge(known("chips"))
    assert (chips.verdict, chips.measures[0].value) == (CANNOT, 100)
    assert planted.judge(known("labels")).verdict == CONTRADICTED  # one label, not 17
    planted.table("label_counts.csv", [{**rows[0], "train": 40459}])
    assert planted.judge(known("chips")).verdict == REPRODUCED


SIGN = {
    "kind": "sign", "each": {"label": ["a", "b"]}, "column": "d", "low": "low", "high": "high",
    "seeds": "seed ", "sign": 1, "margin": "label", "absent": "no such run",
}  # fmt: skip


@pytest.mark.parametrize(
    ("b", "verdict", "reason"),
    [
        ({"d": 0.02, "low": 0.01, "high": 0.03}, REPRODUCED, "above 0"),
        ({"d": 0.02, "low": -0.01, "high": 0.03}, INCONCLUSIVE, "b: no clear difference"),
        (
            {"d": -0.02, "low": -0.03, "high": -0.01, "seed 1": -0.02},
            CONTRADICTED,
            "b: the opposite",
        ),
        ({"d": -0.02, "low": -0.03, "high": -0.01}, INCONCLUSIVE, "seed shows the claimed sign"),
        ({"d": 0.02, "low": 0.01, "high": 0.03, "seed 1": -0.01}, INCONCLUSIVE, "another seed"),
        ({"d": 0.002, "low": 0.001, "high": 0.004}, INCONCLUSIVE, "counts as no difference"),
        ({"d": -0.002, "low": -0.003, "high": -0.001}, INCONCLUSIVE, "counts as no difference"),
        ({"d": np.nan, "low": np.nan, "high": np.nan}, CANNOT, "no such run"),
    ],
)
def test_signs(planted, b, verdict, reason):
    a = {"label": "a", "d": 0.05, "low": 0.04, "high": 0.06, "seed 1": 0.05}
    planted.table("x.csv", [a, {"label": "b", "seed 1": 0.01, **b}])
    found = planted.judge(claim(SIGN))
    assert found.verdict == verdict
    assert reason in found.reason


def test_a_lowering_is_the_mirror_image(planted):
    planted.table("x.csv", [{"label": n, "d": -0.2, "low": -0.3, "high": -0.1} for n in "ab"])
    assert planted.judge(claim(SIGN | {"sign": -1})).verdict == REPRODUCED
    assert planted.judge(claim(SIGN)).verdict == CONTRADICTED


@pytest.mark.parametrize(
    ("kind", "low", "high", "verdict"),
    [
        ("not-lower", -0.004, 0.1, REPRODUCED),
        ("not-lower", -0.02, 0.1, INCONCLUSIVE),
        ("not-lower", -0.02, -0.01, CONTRADICTED),
        ("within", -0.004, 0.004, REPRODUCED),
        ("within", -0.02, 0.004, INCONCLUSIVE),
        ("within", 0.006, 0.02, CONTRADICTED),
    ],
)
def test_what_is_not_lower_and_what_lies_within(planted, kind, low, high, verdict):
    planted.table("x.csv", [{"label": "a", "d": (low + high) / 2, "low": low, "high": high}])
    rule = SIGN | {"kind": kind, "each": {"label": ["a"]}}
    assert planted.judge(claim(rule)).verdict == verdict


def test_a_lift_is_held_against_one(planted):
    """A ratio's zero is 1, and its margin lies about it."""
    rule = SIGN | {"zero": 1, "margin": "lift", "each": {"label": ["a"]}}
    for low, high, verdict in (
        (1.5, 2, REPRODUCED),
        (1.01, 1.03, INCONCLUSIVE),
        (0.5, 0.8, CONTRADICTED),
        (0.0, 9.0, INCONCLUSIVE),
    ):
        planted.table("x.csv", [{"label": "a", "d": (low + high) / 2, "low": low, "high": high}])
        assert planted.judge(claim(rule)).verdict == verdict


def test_what_nothing_is_measured_of_cannot_be_tested(planted):
    planted.table("x.csv", [{"f2": 1}])
    found = planted.judge({"id": "c", "rule": [{"kind": "untested", "reason": "no second one"}]})
    assert (found.verdict, found.reason, found.notebook) == (CANNOT, "no second one", "")


RECALIBRATION = {"ridge-beats-none": "ridge minus none", "ridge-beats-lasso": "ridge minus lasso"}


def test_the_claims_of_recalibration_read_one_system_by_one_rule(planted):
    """Whichever seed or design another claim reads: these two read the same rows alike."""
    rules = [known(name)["rule"] for name in RECALIBRATION]
    alike = [[{**rule[0], "each": None}] for rule in rules]
    assert alike[0] == alike[1]
    assert len({known(name)["test"] for name in RECALIBRATION}) == 1

    good = {"protocol": "nested", "difference": 0.02, "low": 0.01, "high": 0.03}
    seed = "seed 1 of VGG-16 × 0.125, 12 epochs"
    rows = [{"comparison": c, **good, seed: 0.01} for c in RECALIBRATION.values()]
    rows += [{**row, "protocol": "paper", "low": -1.0} for row in rows]  # is not looked at
    output = "recalibration_differences.csv"
    planted.table(output, rows)
    assert {planted.judge(known(name)).verdict for name in RECALIBRATION} == {REPRODUCED}
    for number, name in enumerate(RECALIBRATION):
        planted.table(
            output, [r | ({seed: -0.01} if i == number else {}) for i, r in enumerate(rows)]
        )
        verdicts = {other: planted.judge(known(other)).verdict for other in RECALIBRATION}
        assert verdicts == dict.fromkeys(RECALIBRATION, REPRODUCED) | {name: INCONCLUSIVE}


def test_shares_correlations_and_the_least(planted):
    rows = [{"n": n, "f2": f, "name": str(n)} for n, f in enumerate(np.linspace(0.1, 0.99, 12))]
    planted.table("x.csv", rows)
    fraction = {"kind": "fraction", "column": "f2", "above": 0.9, "more_than": 0.1}
    assert planted.judge(claim(fraction)).verdict == REPRODUCED
    assert planted.judge(claim(fraction | {"more_than": 0.5})).verdict == CONTRADICTED
    correlation = {"kind": "correlation", "columns": ["n", "f2"], "sign": 1}
    assert planted.judge(claim(correlation)).verdict == REPRODUCED
    assert planted.judge(claim(correlation | {"sign": -1})).verdict == CONTRADICTED
    least = {"kind": "least", "row": {"name": 0}, "column": "f2", "name": "f2"}
    assert planted.judge(claim(least)).verdict == REPRODUCED
    assert planted.judge(claim(least | {"row": {"name": 3}})).verdict == CONTRADICTED
    relative = {"kind": "relative", "first": {"n": 0}, "second": {"n": 11}, "column": "f2"}
    found = planted.judge(claim(relative | {"tolerance": 0.01}, published=0.9))
    assert found.verdict == REPRODUCED  # 1 − 0.1 ÷ 0.99
    found = planted.judge(claim(relative | {"tolerance": 0.01}, published=0.5))
    assert found.verdict == CONTRADICTED


def test_all_rules_must_hold_and_the_worst_decides(planted):
    planted.table("x.csv", [{"f2": 0.93, "low": 0.92, "high": 0.94}])
    good, bad = NUMBER | {"equals": 0.93}, NUMBER | {"equals": 0.5}
    open_ = NUMBER | {"equals": 0.93, "where": {"f2": 7}}
    assert planted.judge(claim(good, bad)).verdict == CONTRADICTED
    assert planted.judge(claim(good, open_)).verdict == CANNOT
    assert planted.judge(claim(open_, bad)).verdict == CONTRADICTED


def test_a_constant_column_has_no_rank_correlation():
    x = np.arange(5.0)
    assert verdict_rules.rank_correlation(x, np.zeros(5)) == (0, 0, 0)
    assert verdict_rules.rank_correlation(x, x**3)[0] == pytest.approx(1)
    assert verdict_rules.rank_correlation(x, np.array([4.0, 1, 3, 2, 0]))[0] == pytest.approx(-0.7)


# ---- missing and stale outputs ------------------------------------------------------------------


def test_what_is_missing_or_stale_gets_no_verdict(planted):
    one = claim(NUMBER, published=0.93)
    rows = [{"f2": 0.93, "low": 0.92, "high": 0.94}]
    planted.table("x.csv", rows)
    assert planted.judge(one).verdict == REPRODUCED
    path = planted.folder / "x.csv"
    whole = path.read_bytes()

    path.write_bytes(whole.replace(b"0.93", b"0.94"))
    found = planted.judge(one)
    assert (found.verdict, found.measures) == (ERROR, ())
    assert "was changed after 08_planted wrote it — paper run 08" in found.reason
    path.unlink()
    assert "x.csv is missing" in planted.judge(one).reason
    path.write_bytes(whole)  # a new time, the same content: current
    assert planted.judge(one).verdict == REPRODUCED

    run = planted.folder / "runs" / "vgg"
    for name in ("config.json", "predictions.npz", "run.json"):
        files.write_text(run / name, name)
    planted.entry["runs"] = {"vgg": manifest.run_digest(run)}
    planted.save()
    assert planted.judge(one).verdict == REPRODUCED
    files.write_text(run / "predictions.npz", "other predictions")
    assert "older than its inputs: training run vgg has changed" in planted.judge(one).reason
    planted.entry.update(runs={}, runs_there=[])
    planted.save()
    assert "runs were added or taken away" in planted.judge(one).reason
    planted.entry.update(runs_there=["vgg"])
    planted.save()
    assert planted.judge(one).verdict == REPRODUCED
    planted.entry["outputs"] = {}
    planted.save()
    assert "was not run since it makes this file" in planted.judge(one).reason


def test_a_column_that_the_file_does_not_have_yet_is_an_error(planted):
    planted.table("x.csv", [{"label": "a", "d": 0.1}])
    found = planted.judge(claim(SIGN | {"each": {"comparison": ["a"]}}))
    assert found.verdict == ERROR
    assert "x.csv has no column 'comparison' — run its notebook again" in found.reason


def test_an_output_that_no_notebook_makes_is_an_error(planted):
    planted.table("x.csv", [{"f2": 1}])
    found = planted.judge(claim(NUMBER | {"output": "y.csv"}, published=1))
    assert found.verdict == ERROR
    assert "no notebook makes y.csv" in found.reason


# ---- from predictions to verdicts ---------------------------------------------------------------


def test_changed_predictions_change_what_is_shown_and_judge_the_full_network(planted):
    """A network that knows a label well, then badly: shown at 32 px, judged at 224."""
    rng = np.random.default_rng(0)
    count = 800
    truth = np.zeros((count, len(LABELS)), np.uint8)
    truth[:, :4] = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, count)]
    truth[:, 4:] = rng.random((count, 13)) < 0.4
    names = np.array([n for n in (f"train_{i}" for i in range(9000)) if _held_out(n)][:count])
    good = np.clip(0.05 + 0.9 * truth + rng.normal(0, 0.02, truth.shape), 0, 1)
    place = LABELS.index("clear")
    worse = good.copy()
    worse[:, place] = 0.9 * np.where(rng.random(count) < 0.14, 1 - truth[:, place], truth[:, place])
    verdicts, measured = {}, {}
    wanted = ("table1-clear", "table1-primary", "three-3x3-save-45")
    for profile in ("planet32", "paper"):
        planted = Planted(planted.root / profile, profile)
        planted.table(
            "vgg_kernels.csv", [{"kernel": 7, "parameters": 49}, {"kernel": 3, "parameters": 27}]
        )
        for name, probability in (("good", good), ("worse", worse)):
            both = {
                "paper": selection.protocol_paper(truth, probability, names, thresholds=0.5),
                "nested": selection.protocol_nested(truth, probability, names, thresholds=0.5),
            }
            raw = dict.fromkeys(("raw", "original"), both["nested"])
            planted.table("table1_f2.csv", results.table1(both, both, raw))
            found = [planted.judge(known(w)) for w in wanted]
            verdicts[profile, name] = [one.verdict for one in found]
            measured[profile, name] = found[0].measures[0].value
    assert verdicts["planet32", "good"] == verdicts["planet32", "worse"]
    assert verdicts["planet32", "good"] == [CANNOT, CANNOT, REPRODUCED]
    assert measured["planet32", "good"] > 0.99 > measured["planet32", "worse"]
    assert verdicts["paper", "good"] == [CONTRADICTED, CONTRADICTED, REPRODUCED]  # above the print
    assert verdicts["paper", "worse"] == [CONTRADICTED, CONTRADICTED, REPRODUCED]  # now below it


def _held_out(name: str) -> bool:
    from paperlib.chips import split_of

    return split_of(name) == "validation"


# ---- the file -----------------------------------------------------------------------------------


def test_every_claim_is_whole_and_names_what_exists(root):
    from paperlib.pipeline.report_page import place_in_code

    results = claims.Results.of(root, "planet32")
    listed = published.claims()
    assert len({c["id"] for c in listed}) == len(listed) > 80
    for one in listed:
        for key in ("group", "section", "place", "quote", "english", "text", "quantity", "test"):
            assert one[key], (one["id"], key)
            assert "{" not in one[key], (one["id"], key)
        assert place_in_code(root, one["code"])["line"] > 0
        for rule in one["rule"]:
            assert rule["kind"] in verdict_rules.KINDS
            assert verdict_rules.margin(rule) >= 0
            if rule["kind"] == "untested":
                assert rule["reason"]
                continue
            notebook = results.maker(rule["output"])  # some notebook declares it
            assert results.cell(rule["output"]), f"no cell of {notebook.name} writes it"


def _quoted() -> list[tuple[str, str, str, str]]:
    """(name, source, section, quotation) of everything that is quoted."""
    facts = published.published()
    entries = [*published.claims(), *facts["erratum"]]
    found = [(e["id"], e.get("source", "paper"), e["section"], e["quote"]) for e in entries]
    found += [(f["name"], "paper", f["section"], f["quote"]) for f in facts["figure"]]
    return found + [(a.name, "paper", a.section, a.quote) for a in deviations.ASPECTS]


def test_every_quotation_stands_in_the_section_that_is_named():
    for name, source, section, quote in _quoted():
        assert not quotations.missing(quote, source, section), (name, section)


def test_a_word_that_is_not_the_sources_is_found():
    quote = known("headline")["quote"]
    assert quotations.missing(quote, "paper", "4.3") == []
    assert quotations.missing(quote, "paper", "4.2")
    assert quotations.missing(quote.replace("92.832", "92.833"), "paper", "4.3")
    assert quotations.missing(quote, "article", "4.3")


def test_a_source_is_cut_into_clauses_with_their_sections():
    text = "0 before. \n1   Names\nOne, two\nthree (0.5).\n1.1   More\n图 1    A box\nfour, five\n"
    found = quotations.digest(text, "x", ["1", "1.1"])

    def there(clause: str, section: str) -> bool:
        return ("x", section, quotations.hashed(clause)) in found

    assert there("twothree", "1")  # a sentence goes on over the end of a line
    assert there("0.5", "1")  # a number is not cut
    assert there("abox", "1.1")
    assert not there("one", "1.1")
    with pytest.raises(ValueError, match="no heading 2"):
        quotations.digest(text, "x", ["1", "1.1", "2"])


def test_the_digest_holds_hashes_alone(root):
    for line in (
        (root / "tests" / "pipeline" / "quotations.txt").read_text(encoding="ascii").splitlines()
    ):
        source, section, value = line.split()
        assert source in ("paper", "article")
        assert section.replace(".", "").isdigit()
        assert len(value) == 16


def test_what_the_sources_do_not_say_is_no_claim():
    """Found missing when the sources were read: they must not come back."""
    known_ids = {c["id"] for c in published.claims()}
    errata = {e["id"] for e in published.published()["erratum"]}
    assert not known_ids & {"lasso-beats-none", "three-3x3-save-45-article", "rule-depth", "split"}
    assert not errata & {"article-five-by-five", "article-dense-kernel", "twice"}


def test_table_1_is_17_claims_with_the_printed_numbers():
    rows = [
        c
        for c in published.claims()
        if c["place"] == "section 4.3, table 1" and c["id"] != "table1-is-f2-of-each-label"
    ]
    assert [c["published"] for c in rows] == published.published_f2().tolist()
    assert rows[0]["text"] == "The F2 of cloudy is 0.92489."


def test_shipped_results_have_a_verdict_wherever_their_notebook_is_unchanged(root):
    """A stale output is allowed only while its notebook is newer than the shipped results."""
    results = claims.Results.of(root, "planet32")
    for finding in claims.evaluate(root, "planet32"):
        if finding.verdict != ERROR:
            assert finding.reason
            continue
        assert finding.notebook, finding.reason
        chain = _with_needs(results, finding.notebook)
        assert any(_changed(results, notebook) for notebook in chain), finding.reason


def _with_needs(results, name: str) -> list:
    from paperlib.pipeline import notebooks

    notebook = next(n for n in results.notebooks if n.name == name)
    makers = [notebooks.maker(results.notebooks, need) for need in notebook.needs]
    return [notebook, *makers]


def _changed(results, notebook) -> bool:
    entry = results.manifest["notebooks"].get(notebook.name)
    return entry is None or entry["made_from"]["notebook"] != manifest.notebook_digest(notebook)


def test_the_checklists_evidence_is_there(root):
    for checklist in published.published()["checklist"]:
        for item in checklist["items"]:
            for path in item["evidence"]:
                assert (root / path.replace("{profile}", "planet32")).exists(), path


def test_the_papers_figures_are_drawn_by_a_notebook_each(root):
    notebooks = claims.Results.of(root, "tiny").notebooks
    drawn = {Path(f).stem for n in notebooks for f in (*n.figures, *n.if_possible)}
    listed = published.published()["figure"]
    assert [f["number"] for f in listed] == list(range(1, 10))
    assert {f["name"] for f in listed} <= drawn
    assert (root / "figures/sample/fig09_showcase.png").is_file()


def test_an_unknown_profile_is_an_error(root):
    with pytest.raises(PaperError, match="no profile is called"):
        claims.evaluate(root, "planet33")
