"""Published beside reproduced: every number and claim of `published.toml` with its verdict.

A claim's rules are data, and `verdict_rules` says what each kind does; the claim comes to the worst
of what its rules say: contradicted before cannot be tested here, before inconclusive, before
reproduced. A result file that is missing, changed since its notebook wrote it, or made from other
training runs or earlier results than are there now, is an error and gets no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ..profiles import Profile, profile
from ..published import claims
from ..utils import files
from ..utils.errors import PaperError
from . import manifest, notebooks, verdict_rules
from .notebooks import Notebook
from .verdict_rules import CANNOT, ERROR, ORDER, VERDICTS, Measure

FULL_SIZE = 224  # pixels of VGGNet's input
GENERATED = "the claim is about the competition's chips; these are generated scenes"


@dataclass(frozen=True)
class Finding:
    """What became of one claim on one profile.

    claim     its entry in `published.toml`
    profile   the profile's name
    verdict   one of `VERDICTS`, or `ERROR`
    reason    why, in words
    measures  what was found, a value for each row that a rule reads
    notebook  name of the notebook that computes it;  cell  the id of the cell
    output    result file, from the checkout's root
    """

    claim: Mapping[str, Any]
    profile: str
    verdict: str
    reason: str
    measures: tuple[Measure, ...] = ()
    notebook: str = ""
    cell: str = ""
    output: str = ""

    @property
    def command(self) -> str:
        """What runs just this item again."""
        return f"paper run {self.notebook[:2]} --profile {self.profile}"


@dataclass
class Results:
    """The result files of one profile in one checkout, read only where they are current."""

    root: Path
    profile: Profile
    notebooks: list[Notebook]
    manifest: dict[str, Any]
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, name: str) -> Results:
        folder = root / "results" / name
        declared = notebooks.read_all(root / "notebooks")
        return cls(root, profile(name), declared, manifest.read(folder))

    def maker(self, output: str) -> Notebook:
        """The notebook that declares a result file; `PaperError` where none does."""
        for notebook in self.notebooks:
            if output in notebook.results:
                return notebook
        raise PaperError(f"no notebook makes {output}", "name an output that a notebook declares")

    def table(self, output: str) -> pd.DataFrame:
        """A result file, checked to be what its notebook wrote and made from what is there.

        Raises `PaperError` where it is missing, changed or older than its inputs.
        """
        if output not in self._tables:
            notebook = self.maker(output)
            path = f"results/{self.profile.name}/{output}"
            if fault := self.fault(notebook, path):
                command = f"paper run {notebook.number} --profile {self.profile.name}"
                raise PaperError(fault, command)
            self._tables[output] = pd.read_csv(self.root / path)
        return self._tables[output]

    def fault(self, notebook: Notebook, path: str) -> str:
        """Why the file at `path` may not be used; `""` where it may.

        Held against the sha256 in the manifest, never against times: the file itself, the training
        runs the notebook used or looked for, and the earlier results it needs.
        """
        entry = self.manifest["notebooks"].get(notebook.name)
        full = self.root / path
        if entry is None or path not in entry["outputs"]:
            return f"{path} is not there: {notebook.name} was not run" + (
                "" if entry is None else " since it makes this file"
            )
        if not full.is_file():
            return f"{path} is missing"
        if files.sha256(full) != entry["outputs"][path]:
            return f"{path} was changed after {notebook.name} wrote it"
        if notebook.name not in self._faults:
            self._faults[notebook.name] = self._older(notebook, entry)
        fault = self._faults[notebook.name]
        return f"{path} is older than its inputs: {fault}" if fault else ""

    def _older(self, notebook: Notebook, entry: Mapping[str, Any]) -> str:
        runs = self.root / "results" / self.profile.name / "runs"
        for slug, digest in entry["runs"].items():
            if manifest.run_digest(runs / slug) != digest:
                return f"training run {slug} has changed"
        there = manifest.runs_there(runs, entry["looked_in"])
        if entry["runs_there"] not in (None, there):
            return "training runs were added or taken away"
        needs = manifest.needs_digest(self.root, self.profile.name, self.notebooks, notebook)
        if needs != entry["made_from"]["needs"]:
            return "an earlier result that it needs has changed"
        return ""

    def cell(self, output: str) -> str:
        """Id of the cell that writes a result file: the last that names it in code."""
        stem = Path(output).stem
        named = [
            cell.id
            for cell in self.maker(output).node.cells
            if cell.cell_type == "code" and f'"{stem}"' in cell.source
        ]
        return named[-1] if named else ""

    @property
    def full(self) -> bool:
        """Whether the profile's network is the paper's: all channels, "VGGNet's input"."""
        return self.profile.size >= FULL_SIZE and self.profile.width >= 1


def evaluate(root: Path, name: str) -> list[Finding]:
    """The verdict on every claim from the result files of profile `name`, in the file's order.

    A claim whose output is missing or stale is found with verdict `ERROR` and the cure as reason.
    """
    results = Results.of(root, name)
    return [judge(claim, results) for claim in claims()]


def judge(claim: Mapping[str, Any], results: Results) -> Finding:
    """The verdict on one claim: the worst of its rules', in `verdict_rules.ORDER`."""
    where: dict[str, Any] = {"claim": claim, "profile": results.profile.name}
    output = claim["rule"][0].get("output")
    try:
        if output:
            where["output"] = f"results/{results.profile.name}/{output}"
            where["notebook"] = results.maker(output).name
            where["cell"] = results.cell(output)
        parts = [verdict_rules.apply(rule, claim, results) for rule in claim["rule"]]
    except PaperError as error:
        return Finding(verdict=ERROR, reason=str(error), **where)
    except KeyError as error:  # written by an older notebook
        fault = PaperError(f"{where['output']} has no column {error}", "run its notebook again")
        return Finding(verdict=ERROR, reason=str(fault), **where)
    where["measures"] = tuple(measure for part in parts for measure in part[2])
    if claim.get("needs") == "planet" and results.profile.source != "planet":
        return Finding(verdict=CANNOT, reason=GENERATED, **where)
    worst = next(verdict for verdict in ORDER if verdict in [part[0] for part in parts])
    reasons = [reason for found, reason, _ in parts if found == worst]
    return Finding(verdict=worst, reason="; ".join(dict.fromkeys(reasons)), **where)


def signed(claim: Mapping[str, Any]) -> bool:
    """Whether a claim's values are differences, which are shown with their sign."""
    kinds = ("sign", "not-lower", "within")
    return any(rule["kind"] in kinds and not rule.get("zero") for rule in claim["rule"])


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have each verdict; errors only where there are any."""
    found = [finding.verdict for finding in findings]
    return {v: found.count(v) for v in (*VERDICTS, ERROR) if v != ERROR or ERROR in found}
