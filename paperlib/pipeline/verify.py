"""`paper verify`: are the outputs made here those that the authors shipped?

Every declared output of every notebook is compared with `shipped.shipped` of its profile. Results
are one page (`results/verify.html`), one line, and a certificate (`results/certificate.json`) in
the form that CODECHECK uses for its manifest (https://codecheck.org.uk/spec/config/1.0/; JSON is
YAML), so that a codechecker adds a name and a report and has a `codecheck.yml`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from .. import __version__, published
from ..profiles import profile as known
from ..utils import files
from ..utils.errors import PaperError
from . import compare, manifest, notebooks, pages, shipped, tolerances
from .compare import DIFFERS, EQUAL, IDENTICAL, MISSING, NEW, VERDICTS, Cell
from .notebooks import Notebook
from .shipped import Side

CODECHECK = "https://codecheck.org.uk/spec/config/1.0/"
#: verdict -> (symbol, class in the style sheet)
LOOKS = {
    IDENTICAL: ("✓", "good"),
    EQUAL: ("≈", "unclear"),
    DIFFERS: ("✗", "bad"),
    MISSING: ("!", "bad"),
    NEW: ("○", "open"),
}


@dataclass(frozen=True)
class Row:
    """What became of one output.

    made   False where its notebook was not run in this checkout: the file is the shipped one
    cells  the cells of a table that differ
    """

    path: str
    notebook: Notebook
    verdict: str
    note: str = ""
    made: bool = True
    cells: tuple[Cell, ...] = ()

    @property
    def bad(self) -> bool:
        return self.verdict in (DIFFERS, MISSING)


@dataclass(frozen=True)
class Agreement:
    """All outputs of one profile against what was shipped of it; `against` names that."""

    profile: str
    against: str
    rows: tuple[Row, ...]
    run: Mapping[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    @property
    def line(self) -> str:
        """`132 outputs: 130 identical, 2 equal within tolerance`."""
        short = {IDENTICAL: "identical", DIFFERS: "differ"}
        parts = [f"{number} {short.get(verdict, verdict)}" for verdict, number in
                 self.counts.items()]  # fmt: skip
        line = f"{len(self.rows)} outputs: {', '.join(parts)}"
        if not_made := sum(not row.made and row.verdict != MISSING for row in self.rows):
            line += f"; {not_made} of them shipped, not made here"
        return line

    @property
    def faults(self) -> list[str]:
        return [f"{row.path}: {row.verdict}: {row.note}" for row in self.rows if row.bad]

    @property
    def agrees(self) -> bool:
        return not any(row.bad for row in self.rows)


def verify(root: Path, profile: str) -> Agreement:
    """Compare every declared output of a profile; `PaperError` where nothing was shipped."""
    declared = notebooks.read_all(root / "notebooks")
    paths = declared_paths(declared, profile)
    old, new = shipped.shipped(root, profile, paths), shipped.folder(root, paths)
    made = manifest.read(root / "results" / profile)
    rows = []
    for notebook in declared:
        entry = made["notebooks"].get(notebook.name, {})
        here = bool(entry) and all((root / path).is_file() for path in entry["executed"])
        judged: dict[str, Row] = {}
        for path in sorted(notebook.outputs(profile), key=_pictures_first):
            verdict, note, cells = _judge(path, old, new, judged)
            if verdict == DIFFERS and path.endswith(".png") and (by := _drawn_by_another(old)):
                verdict, note = _letters_apart(path, old, new, note, by)
            judged[path] = Row(path, notebook, verdict, note, here, cells)
        rows += [judged[path] for path in notebook.outputs(profile)]
    return Agreement(profile, old.name, tuple(rows), run(root, made))


def agreements(root: Path, profiles: Sequence[str]) -> dict[str, Agreement | None]:
    """Profile -> its agreement for the report; None where nothing was shipped."""
    found: dict[str, Agreement | None] = {}
    for name in profiles:
        try:
            found[name] = verify(root, name)
        except PaperError:
            found[name] = None
    return found


def declared_paths(declared: Sequence[Notebook], profile: str) -> list[str]:
    return [path for notebook in declared for path in notebook.outputs(profile)]


def _pictures_first(path: str) -> bool:
    return not path.endswith(".png")


def _judge(
    path: str, old: Side, new: Side, judged: Mapping[str, Row]
) -> tuple[str, str, tuple[Cell, ...]]:
    """Verdict, where and how much, and the cells that differ."""
    if path not in new.digests:
        return MISSING, "not in this checkout", ()
    if path not in old.digests:
        return NEW, f"not in {old.name}", ()
    if old.digests[path] == new.digests[path]:
        return IDENTICAL, "", ()
    if compare.is_table(path):
        before = old.rows(path)
        if before is None:
            return DIFFERS, "only its digest was shipped", ()
        how = compare.drawn if path.startswith("figures/") else compare.tables
        found = how(before, new.rows(path) or [])
        if found.cells or not path.endswith(".npz"):
            return found.verdict, found.note, found.cells
        return EQUAL, "shape, mean, standard deviation and bounds of each array are equal", ()
    if path.endswith(".png"):
        data = new.read(path) or b""
        if whole := old.read(path):
            found = compare.pictures(compare.picture(whole), compare.picture(data))
        elif (small := old.small(path)) is not None:
            found = compare.pictures(small, compare.reduced(data, small.shape[1]), small=True)
        else:
            return DIFFERS, "only its digest was shipped", ()
        return found.verdict, found.note, ()
    picture = judged.get(str(PurePosixPath(path).with_suffix(".png")))
    if picture is None:
        return DIFFERS, "other bytes", ()
    same = {IDENTICAL: EQUAL}.get(picture.verdict, picture.verdict)
    return same, f"judged by its PNG: {picture.note or picture.verdict}", ()


def _drawn_by_another(old: Side) -> str:
    """Which other version of Matplotlib drew what was shipped; `""` for the same one."""
    shipped_by, here = old.made.get("matplotlib"), version("matplotlib")
    if shipped_by in (None, here):
        return ""
    return f"drawn by Matplotlib {here}, shipped from {shipped_by}, whose letters are others"


def _letters_apart(path: str, old: Side, new: Side, note: str, by: str) -> tuple[str, str]:
    """A figure that another Matplotlib drew: judged by its data, and by what is left of it small.

    note  how far the pictures are apart;  by  who drew them
    """
    table = str(PurePosixPath(path).with_suffix(".csv"))
    before, now = (s.rows(table) if table in s.digests else None for s in (old, new))
    if before is None or now is None:
        return DIFFERS, f"{note}; {by}"
    drawn = compare.drawn(before, now)
    if drawn.verdict == DIFFERS:
        return DIFFERS, f"what was drawn: {drawn.note}; {by}"
    whole, data = old.read(path), new.read(path) or b""
    known = old.small(path) if whole is None else compare.reduced(whole, shipped.WIDTH)
    if known is None:
        return DIFFERS, f"only its digest was shipped; {by}"
    near = compare.near(known, compare.reduced(data, shipped.WIDTH))
    return near.verdict, f"the same data, colours and words; {near.note}; {by}"


def run(root: Path, made: Mapping[str, Any]) -> dict[str, Any]:
    """How the outputs came about: commits, lock, machines, and when the last notebook ended."""
    entries = list(made["run"]["notebooks"].values())
    commits: dict[str, bool | None] = {}
    for entry in entries:  # clean where each of its notebooks was
        name = entry["commit"] or "unknown"
        commits[name] = commits.get(name, True) and entry["clean"]
    machines = [e["hardware"] for e in entries]
    return {
        "commits": [{"commit": name, "clean": clean} for name, clean in commits.items()],
        "lock": manifest.lock_digest(root),
        "machines": [m for i, m in enumerate(machines) if m not in machines[:i]],
        "finished": max((e["finished"] for e in entries), default=""),
        "seconds": round(sum(e.get("seconds", 0) for e in entries), 1),
        "versions": made.get("versions", {}),
        "matplotlib": version("matplotlib"),
    }


def write_expected(root: Path, profile: str) -> Path:
    """`paper verify --write`: take what lies here as what is shipped."""
    declared = notebooks.read_all(root / "notebooks")
    made = manifest.read(root / "results" / profile)
    paths = declared_paths(declared, known(profile).name)
    return shipped.write_expected(root, profile, paths, run(root, made))


# ---- certificate and page ------------------------------------------------------------------------


def certificate(found: Agreement) -> dict[str, Any]:
    """The certificate as plain values; what only a codechecker can say is left out."""
    paper = published.published()["paper"]
    return {
        "version": CODECHECK,
        "paper": {"title": paper["subject"]},
        "manifest": [
            {
                "file": row.path,
                "comment": f"{row.notebook.name}, section {row.notebook.section}: {row.verdict}"
                + (f" ({row.note})" if row.note else "")
                + ("" if row.made else "; not made here"),
            }
            for row in found.rows
        ],
        "summary": found.line,
        "check_time": found.run["finished"],
        "made": {
            "profile": found.profile,
            "against": found.against,
            "paperlib": __version__,
            "tolerances": {t.name: t.rule for t in tolerances.TOLERANCES},
            **found.run,
        },
    }


def write(root: Path, found: Agreement) -> tuple[Path, Path]:
    """Write the page and the certificate; their paths."""
    page, text = root / "results" / "verify.html", root / "results" / "certificate.json"
    groups: dict[str, list[Row]] = {}
    for row in found.rows:
        groups.setdefault(row.notebook.name, []).append(row)
    values = {
        "found": found,
        "groups": groups,
        "looks": LOOKS,
        "tolerances": tolerances.TOLERANCES,
        "tried": tolerances.TRIED,
        "style": pages.text("report.css"),
    }
    files.write_text(page, pages.render(values, "verify.html.j2"))
    files.write_json(text, certificate(found))
    return page, text
