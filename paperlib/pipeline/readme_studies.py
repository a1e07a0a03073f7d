"""What README.md says of single studies, from their shipped tables; and how a table is written."""

from __future__ import annotations

import csv
from pathlib import Path


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def machine(hardware: dict) -> str:
    """A manifest's hardware in one line."""
    parts = [f"{hardware['cores']} cores of {hardware['processor']}", *hardware["gpus"]]
    return f"{', '.join(parts)}, {hardware['memory_gb']} GB"


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def signed(row: dict[str, str], key: str = "value") -> str:
    value, low, high = (f"{float(row[each]):+.4f}" for each in (key, "low", "high"))
    return f"{value} ({low} to {high})".replace("-", "−")


def leak(root: Path) -> str:
    """What copies of one chip on both sides of a split are worth, from notebook 17's tables."""
    folder = root / "results" / "planet32"
    every = rows_of(folder / "leak_differences.csv")
    rows = [row for row in every if row["comparison"].startswith("what the")]
    scores = rows_of(folder / "leak.csv")
    own = [row for row in scores if row["on"] == "its own validation copies"]
    heads = ["a narrow network trained on copies of", *dict.fromkeys(row["arm"] for row in own)]
    lines = [line([*heads, "what the order is worth"]), "|" + " --- |" * (len(heads) + 1)]
    for row in rows:
        mine = [one for one in own if one["budget"] == row["budget"]]
        means = []
        for arm in heads[1:]:
            values = [float(one["f2"]) for one in mine if one["arm"] == arm]
            means.append(f"prints {sum(values) / len(values):.4f}")
        lines.append(line([row["budget"], *means, signed(row)]))
    seeds = len({one["seed"] for one in own})
    lines += [
        "",
        "The order is worth what is printed minus what the same network scores on copies of chips "
        "that nobody saw, minus the same of a split by chip; "
        f"mean of {seeds} seeds, 95 % interval.",
    ]
    sides = {
        "holds 0": [row["budget"] for row in rows if float(row["low"]) <= 0 <= float(row["high"])],
        "lies above 0": [row["budget"] for row in rows if float(row["low"]) > 0],
        "lies below 0": [row["budget"] for row in rows if float(row["high"]) < 0],
    }
    for side, budgets in sides.items():
        where = "In each row" if len(budgets) == len(rows) else f"For “{'”, “'.join(budgets)}”"
        lines[-1] += f" {where} it {side}." if budgets else ""
    lines[-1] += " Wider networks, which may learn more by heart, were not tried."
    return "\n".join(lines)


def full_resolution(root: Path) -> str:
    """What dehazing does to pictures of full size with haze added, from notebook 16's table."""
    every = rows_of(root / "results" / "planet32" / "full_resolution.csv")
    rows = [row for row in every if row["size"] == "224" and row["draw"] == "0"]
    clear = next(row for row in rows if row["state"] == "clear")
    made = {(r["state"], r["trained"], r["strength"]): r for r in rows}
    strengths = ("0.8", "0.6", "0.4", "0.2")
    heads = ["the regression learned from", *(f"t = {t}" for t in strengths)]
    lines = [line(heads), "|" + " --- |" * len(heads)]
    for state, trained, name in (
        ("dehazed", "same", "the same kind of picture"),
        ("dehazed", "clear", "clear pictures"),
        ("dehazed", "both", "hazy and dehazed pictures"),
        ("dehazed-truth", "clear", "clear pictures; dehazed with the true t and A"),
    ):
        found = [made.get((state, trained, t)) for t in strengths]
        lines.append(line([name, *(_gain(row) if row else "–" for row in found)]))
    said = "F2 of the dehazed pictures minus that of the hazy ones, nested, 95 % intervals over "
    said += "pictures, bold where they lie beyond 0; of the clear pictures themselves "
    lines += ["", f"{said}{float(clear['f2']):.4f}.", "", _fine_tuned(root)]
    return "\n".join(lines)


def _gain(row: dict[str, str]) -> str:
    """A difference with its interval, bold where that lies beyond 0."""
    said = signed({"value": row["gain"], "low": row["gain_low"], "high": row["gain_high"]})
    beyond = float(row["gain_low"]) > 0 or float(row["gain_high"]) < 0
    return f"**{said}**" if beyond else said


def _fine_tuned(root: Path) -> str:
    """What the paper's whole experiment comes to on pictures of full size, seed by seed."""
    rows = rows_of(root / "results" / "planet32" / "fine_tuned_gains.csv")

    def gain(system: str, baseline: str, labels: str) -> str:
        kind = (system, baseline, labels, "nested")
        keys = ("system", "baseline", "labels", "protocol")
        mine = [row for row in rows if tuple(row[key] for key in keys) == kind]
        return " and ".join(signed(row, "difference") for row in mine)

    choice, one, other = "choice per label", "original, choice of loss", "dehazed, choice of loss"
    return (
        "With a third of the pictures hazy, and block 5 and the classifier of the network "
        f"trained on them, dehazing all pictures changes F2 by {gain(other, one, 'all')}, that of "
        f"the labels of the ground alone by {gain(other, one, 'ground')}; the choice per label "
        f"among both sets by {gain(choice, one, 'all')}, and ridge after it by "
        f"{gain(f'{choice}, ridge', choice, 'all')}: a value for each seed, nested."
    )
