"""`paper report`: one page that a reader opens first, verdicts on top; and a PDF of it.

`results/report.html` holds everything it shows (pictures, style, script) and asks no network for
anything; links lead to the executed notebooks, result files and code beside it. It is rendered from
`templates/report.html.j2`; what it shows is prepared in `report_page.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..utils import files, system
from ..utils.errors import PaperError


@dataclass(frozen=True)
class Written:
    """What `write` made: the page, the PDF or why there is none, and what is missing or stale.

    faults  lines of claims without a verdict, those of the profiles held to account
    stale   lines of results of other code, data or notebooks, of the same profiles
    """

    page: Path
    pdf: Path | None
    no_pdf: str
    faults: tuple[str, ...]
    stale: tuple[str, ...] = ()


def write(root: Path, profiles: Sequence[str] = (), *, held: str = "", pdf: bool = True) -> Written:
    """Write `results/report.html` and `results/report.pdf` of a checkout.

    profiles  whose results stand side by side; by default all that have any, `tiny` left out
    held      the profile whose missing or stale outputs count as faults; by default all of them

    Raises `PaperError` where there are no results at all.
    """
    from . import account, claims, pages
    from .report_page import context
    from .verdict_rules import ERROR

    names = list(profiles) or with_results(root)
    if held and held not in names:
        names.append(held)
    if not names:
        raise PaperError("there are no results yet", "paper run")
    found = {name: claims.evaluate(root, name) for name in names}
    page = root / "results" / "report.html"
    accounts = {name: account.hold(root, name) for name in names}
    lines = [line for each in accounts.values() for line in (*each.faults, *each.notes)]
    files.write_text(page, pages.render(context(root, found, stale=lines), "report.html.j2"))
    faults = [
        f"{finding.profile}: {finding.reason}"
        for name in ([held] if held else names)
        for finding in found[name]
        if finding.verdict == ERROR
    ]
    stale = tuple(line for name in ([held] if held else names) for line in accounts[name].faults)
    target = page.with_suffix(".pdf")
    target.unlink(missing_ok=True)  # an older page's PDF must not be taken for this one's
    no_pdf = to_pdf(page, target) if pdf else "not asked for"
    return Written(page, None if no_pdf else target, no_pdf, tuple(dict.fromkeys(faults)), stale)


def with_results(root: Path) -> list[str]:
    """Profiles with a manifest, the shipped and largest first; `tiny` is for tests alone."""
    order = ("paper", "planet32", "sample")
    return [name for name in order if (root / "results" / name / "manifest.json").is_file()]


def to_pdf(page: Path, target: Path, limit: float = 120) -> str:
    """Print a page by headless Chromium; `""`, or why it could not be done."""
    program = system.browser()
    if program is None:
        return "no Chromium on this machine (PAPER_BROWSER names one)"
    # Chromium's sandbox does not start for root, as in most containers; the page is our own.
    sandbox = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "report.pdf"
        command = [
            program, "--headless", *sandbox, "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=limit, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{Path(program).name} did not end well ({type(error).__name__})"
        if done.returncode or not made.is_file():
            return f"{Path(program).name} did not end well (exit code {done.returncode})"
        with files.replacing(target) as partial:
            shutil.copyfile(made, partial)
    return ""
