"""Results held to account: made by the code, data and notebooks of now, or a line that says not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..training import identity
from ..utils.code import differing
from .standing import Standing

#: What of a manifest's `made_from` is held to account -> how the page calls it.
_KINDS = {
    "code": "other code",
    "data": "other data",
    "notebook": "another version of the notebook",
    "reads": "other shipped files",
    "needs": "other results of earlier notebooks",
    "profile": "other settings of the profile",
    "parameters": "other parameters",
}


@dataclass(frozen=True)
class Account:
    """What a profile's results are not made by.

    faults  a line for each notebook whose results are of other code, data or source, and for each
            reason that training runs are of other code
    notes   what cannot be said: runs of before their code was recorded, or not compared
    """

    faults: tuple[str, ...]
    notes: tuple[str, ...]


def hold(root: Path, name: str) -> Account:
    """Compare all results of the profile `name` in a checkout with its code, data and notebooks."""
    standing = Standing(name, root=root)
    faults, notes = [], []
    for notebook in standing.notebooks:
        entry = standing.manifest["notebooks"].get(notebook.name)
        if entry is None:
            continue
        before, now = entry["made_from"], standing.made_from(notebook, entry["parameters"])
        if not standing.project.data:  # then the data are not at hand to be compared
            now["data"] = before.get("data")
        kinds = [kind for kind in _KINDS if before.get(kind) != now.get(kind)]
        if kinds:
            said = [_KINDS[kind] + _which(before.get(kind), now.get(kind)) for kind in kinds]
            faults.append(f"{name}: {notebook.name} was made by {', '.join(said)}")
    for why, runs in identity.standings(standing.project.runs).items():
        if not why:
            continue
        line = f"{name}: {len(runs)} training run{'s' * (len(runs) > 1)}: {why}"
        unsure = why in (identity.UNKNOWN, identity.LATER) or why.endswith(identity.UNCOMPARED)
        (notes if unsure else faults).append(line if unsure else f"{line} ({runs[0]})")
    return Account(tuple(faults), tuple(notes))


def _which(before: object, now: object) -> str:
    """Of code the first file that differs, and how many more."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return ""
    files = differing(before, now)
    return f" ({files[0]}" + (f" and {len(files) - 1} more)" if len(files) > 1 else ")")
