"""The generated parts of README.md and the showcase's: what came out, what runs took.

A part stands between `<!-- begin:NAME -->` and `<!-- end:NAME -->`. `paper readme` writes the parts
again; a test holds all of them current but `measured`, which comes from the manifests in the
checkout and differs from machine to machine.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..evaluation import families
from ..profiles import DEFAULT, PROFILES
from ..published import published
from ..training.config import Config
from ..utils import files
from ..utils.errors import PaperError
from . import claims, elsewhere, manifest
from .notebooks import Notebook, read_all
from .readme_studies import full_resolution, leak, line, machine, rows_of, signed
from .screen import duration
from .verdict_rules import CONTRADICTED, ERROR, REPRODUCED, Measure


def update(root: Path) -> list[str]:
    """Write the generated parts of `root`'s pages again; names of those that changed."""
    changed = []
    for page, parts in PAGES.items():
        path = root / page
        text = path.read_text(encoding="utf-8")
        new = text
        for name, make in parts.items():
            after = replaced(new, name, make(root))
            if after != new:
                changed.append(name)
            new = after
        if new != text:
            files.write_text(path, new)
    return changed


def replaced(text: str, name: str, part: str) -> str:
    """`text` with `part` between the markers of `name`; `PaperError` where they are not there."""
    pattern = re.compile(rf"(<!-- begin:{name} -->\n).*?(<!-- end:{name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise PaperError(f"no one part called {name}", f"mark it <!-- begin:{name} --> … end")
    return pattern.sub(lambda m: f"{m[1]}{part}\n{m[2]}", text)


def notebooks(root: Path) -> str:
    """The table of notebooks: section of the paper, figures and tables each makes."""
    lines = [
        "| notebook | paper | what it shows | figures | tables and numbers |",
        "|" + " --- |" * 5,
    ]
    for n in read_all(root / "notebooks"):
        link = f"[{n.name}](notebooks/{n.path.name})"
        lines.append(
            f"| {link} | {n.section} | {n.title} | {_names(_figures(n))} | {_names(n.results)} |"
        )
    return "\n".join(lines)


def _figures(notebook: Notebook) -> list[str]:
    """Figure names once each, without the suffixes they are written in."""
    named = (*notebook.figures, *notebook.if_possible)
    stems = (name.removesuffix(Path(name).suffix) for name in named)
    return list(dict.fromkeys(stems))


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def profiles(root: Path) -> str:
    """The table of profiles, as `profiles.py` has them."""
    del root
    lines = ["| profile | chips | network | meant for |", "|" + " --- |" * 4]
    for p in PROFILES.values():
        chips = f"{p.chips:,} generated scenes" if p.chips else "all Planet chips there are"
        network = "VGG-16" if p.width == 1 else f"VGG-16, {p.width:g} of its channels"
        network += f", {p.weights} weights" if p.weights else ""
        name = f"`{p.name}`" + (" (default)" if p.name == DEFAULT else "")
        meant_for = p.meant_for.rpartition(": ")[2]
        lines.append(f"| {name} | {chips}, {p.size} px | {network} | {meant_for} |")
    return "\n".join(lines)


def measured(root: Path) -> str:
    """The table of complete runs: time, largest memory and machine, as their manifests say.

    A run that took networks from an earlier one was quicker than a reader's first: the row that the
    README has stays.
    """
    lines = [
        "| profile | notebooks | their times added up | peak memory of one | on |",
        "|" + " --- |" * 5,
    ]
    known = read_all(root / "notebooks")
    for profile in PROFILES.values():
        made = manifest.read(root / "results" / profile.name)
        runs = made["run"]["notebooks"]
        rows = [runs[n.name] for n in known if runs.get(n.name, {}).get("status") == "done"]
        if len(rows) < len(known) or profile.name == "tiny":
            continue
        shipped = any("shipped" in made["notebooks"][n.name]["status"] for n in known)
        name = f"`{profile.name}`" + (" from shipped predictions, without data" if shipped else "")
        took_networks = any(row.get("networks_saved") for row in rows) and not shipped
        if took_networks and (before := _row(root, name)):
            lines.append(before)
            continue
        machines = list(dict.fromkeys(machine(row["hardware"]) for row in rows))
        lines.append(
            f"| {name} | {len(rows)} | {duration(sum(r['seconds'] for r in rows))} "
            f"| {max(r['peak_mb'] for r in rows) / 1000:.1f} GB | {'; '.join(machines)} |"
        )
    if len(lines) == 2:
        return "No complete run in this checkout yet: `make paper`, then `paper readme`."
    return "\n".join(lines)


def _row(root: Path, first: str) -> str:
    """The row of the README's table whose first cell is this; `""` where there is none."""
    page = root / "README.md"
    told = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    return next((one for one in told if one.startswith(f"| {first} |")), "")


def results(root: Path) -> str:
    """The overall F2 of the shipped real-chip predictions, beside the number the paper prints.

    Of all systems those of `SYSTEMS`, the one with the highest nested score, and the released
    model; a row each, which says of which networks it is made, and a column for each protocol.
    """
    rows = rows_of(root / "results" / "planet32" / "overall_f2.csv")
    nested = (row for row in rows if row["protocol"] == "nested")
    best = max(nested, key=lambda row: float(row["f2"]))["system"]
    protocols = [p for p in PROTOCOLS if any(row["protocol"] == p for row in rows)]
    heads = ["mean-over-chips F2", "networks", *(PROTOCOLS[p] for p in protocols)]
    headline = published()["paper"]["headline"]["f2"]
    printed = {"paper": f"{headline}, no interval given"}
    lines = [line(heads), "|" + " --- |" * len(heads)]
    cells = [printed.get(p, "–") for p in protocols]
    lines.append(
        line(
            ["printed in the paper, which does not say which mean", "VGG-16, one per label", *cells]
        )
    )
    for system in dict.fromkeys(row["system"] for row in rows):
        if system not in (*SYSTEMS, best):
            continue
        mine = {row["protocol"]: row for row in rows if row["system"] == system}
        networks = mine["nested"]["networks"]
        name = system.replace(networks, "one network")  # the next column says which
        name += ", the highest nested score of the paper's recipe" if system == best else ""
        cells = [_score(mine[p]) if p in mine else "–" for p in protocols]
        lines.append(line([f"here, 32 px: {name}", networks, *cells]))
    lines += _released(root, protocols)
    chips = " and ".join(f"{int(n):,}" for n in dict.fromkeys(row["chips"] for row in rows))
    lines += ["", f"On {chips} chips on which nothing was trained; 95 % intervals over chips."]
    return "\n".join(lines)


def _released(root: Path, protocols: list[str]) -> list[str]:
    """The row of the model that `paper predict` uses, from its card, where one is released."""
    path = root / "paperlib" / "released" / "planet32" / "card.json"
    if not path.is_file():
        return []
    card = files.read_json(path)
    network, score = Config.from_dict(card["network"]), card["scores"]["f2_mean_over_chips"]
    cells = [_score(score | {"f2": score["value"]}) if p == "nested" else "–" for p in protocols]
    taught = ": a larger network taught it" if network.teacher else ""
    name = f"here, 32 px: the released model, ridge; not the paper's recipe{taught}"
    networks = f"{families.title(network)}, {card['bits']} bits"
    return [line([name, networks, *cells])]


def _score(row: dict[str, str]) -> str:
    f2, low, high = (float(row[key]) for key in ("f2", "low", "high"))
    return f"{f2:.4f} ({low:.4f} – {high:.4f})"


def summary(root: Path) -> str:
    """What holds and what does not, in one paragraph: from the shipped real results."""
    folder = root / "results" / "planet32"
    found = [
        one for one in claims.evaluate(root, "planet32") if one.claim.get("source") != "article"
    ]
    scores = {(row["system"], row["protocol"]): row for row in rows_of(folder / "overall_f2.csv")}
    system = scores["choice per label, ridge", "nested"]
    ridge = next(
        row
        for row in rows_of(folder / "recalibration_differences.csv")
        if (row["system"], row["baseline"], row["protocol"]) == ("ridge", "none", "nested")
    )
    pairs = [row for row in rows_of(folder / "dehazing_pairs.csv") if row["loss"] == "log"]
    full = next(row for row in pairs if "ImageNet" in row["networks"])
    return (
        f"On chips of 32 pixels, where alone the real ones are here, the paper's system scores F2 "
        f"{_score(system)} on chips that chose neither thresholds nor ridge nor the network of a "
        "label (of each network the best epoch was chosen on them). Dehazing all chips changes the "
        f"score of one full-width network by {signed(full, 'difference')}, ridge that of the "
        f"system by {signed(ridge, 'difference')}. "
        f"Of {len(found)} claims and readings of the paper {_counted(found)}."
    )


def verdicts(root: Path) -> str:
    """The verdicts on the paper's claims of the `FRONT` groups, from the shipped real results.

    Table 1's rows and the claims of other groups are counted; all of them, with the paper's own
    words, and the teaching article's claims stand in the report. Beside them those of `elsewhere`.
    """
    there = elsewhere.evaluate(root, "planet32")
    found = [
        one for one in claims.evaluate(root, "planet32") if one.claim.get("source") != "article"
    ]
    rows = [f for f in found if f.claim["place"].endswith("table 1") and "published" in f.claim]
    heads = ["what the paper says", "section", "here, 32 px", "verdict",
             elsewhere.facts()["title"], "verdict there"]  # fmt: skip
    lines = [line(heads), "|" + " --- |" * len(heads)]
    for finding in found:
        if finding in rows or finding.claim["group"] not in FRONT:
            continue
        claim = finding.claim
        place = "abstract" if claim["section"] == "0" else claim["section"]
        second = there.get(claim["id"])
        cells = [*_judged(finding), *(_judged(second) if second else ("–", "–"))]
        lines.append(line([claim["text"], place, *cells]))
    others = [f for f in found if f not in rows and f.claim["group"] not in FRONT]
    counted = {
        f"{group}: {len(mine)} claims": ("", mine)
        for group in dict.fromkeys(f.claim["group"] for f in others)
        for mine in [[f for f in others if f.claim["group"] == group]]
    }
    counted["Table 1: the F2 of each of 17 labels"] = ("4.3", rows)
    for name, (place, mine) in counted.items():
        lines.append(line([name, place, "in the report", _counted(mine), "–", "–"]))
    known = list(there.values())
    lines += ["", f"All {len(found)} of the paper's claims and readings: {_counted(found)}.", "",
              f"The second column, {elsewhere.facts()['title']}: {elsewhere.facts()['departs']} Of "
              f"the {len(known)} claims it looks at {_counted(known)}."]  # fmt: skip
    return "\n".join(lines)


def _judged(finding: claims.Finding) -> tuple[str, str]:
    """What was measured, and the verdict: two cells."""
    values = "; ".join(filter(None, (_measure(m, finding) for m in finding.measures)))
    return values or "–", _verdict(finding)


def _counted(found: list[claims.Finding]) -> str:
    return ", ".join(f"{n} {verdict}" for verdict, n in claims.counts(found).items() if n)


def _measure(measure: Measure, finding: claims.Finding) -> str:
    signed = claims.signed(finding.claim)
    name = "" if measure.name in ("", finding.claim["id"]) else f"{measure.name} "
    if measure.low is None or measure.high is None or measure.low != measure.low:
        return f"{name}{measure.value:,.5g}{measure.after}"
    sign = "+" if signed else ""
    ends = (f"{end:{sign}.4f}" for end in (measure.low, measure.high))
    return f"{name}{measure.value:{sign}.4f} ({' to '.join(ends)})".replace("-0.", "−0.")


def _verdict(finding: claims.Finding) -> str:
    if finding.verdict == ERROR:
        return f"not made yet (`{finding.command}`)"
    strong = finding.verdict in (REPRODUCED, CONTRADICTED)
    return f"**{finding.verdict}**" if strong else finding.verdict


def completeness(root: Path) -> str:
    """The five items of the ML code completeness checklist, each with its evidence."""
    del root
    first = published()["checklist"][0]
    lines = [f"| [{first['name']}]({first['url']}) | |", "|" + " --- |" * 2]
    for item in first["items"]:
        links = ", ".join(f"[{path}]({path})" for path in item["evidence"])
        lines.append(f"| {item['ask']} | {item['answer']} {links} |")
    return "\n".join(lines)


def showcase_speed(root: Path) -> str:
    """What `tests/benchmarks/demo_load.py --write` measured: a table for each day and machine."""
    path = root / "demo_site/speed.json"
    if not path.is_file():
        return "Not measured yet: `python tests/benchmarks/demo_load.py --write`."
    tables: dict[str, list[str]] = {}
    for part in files.read_json(path)["parts"].values():
        card = root / "paperlib/released" / part["model"] / "card.json"
        now = card.is_file() and files.sha256(card) == part["card"]
        release = "as released now" if now else "of an earlier release"
        said = f"On {part['date']}, {machine(part['hardware'])}, model {part['model']} {release}:"
        rows = tables.setdefault(said, ["| measured | | target |", "|" + " --- |" * 3])
        for row in part["rows"]:
            target = row["target"] if row["met"] else f"{row['target']}, **missed**"
            rows.append(f"| {row['what']} | {row['value']} | {target} |")
    return "\n\n".join(f"{said}\n\n" + "\n".join(rows) for said, rows in tables.items())


#: Of the table of all systems, those that the front page shows.
SYSTEMS = (
    "one network, threshold 0.2",
    "one network",
    "one network, ridge",
    "one candidate",
    "one candidate, ridge",
    "choice per label",
    "choice per label, ridge",
    "network per label",
    "network per label, choice, ridge",
)
#: Groups of claims that the front page shows one by one.
FRONT = (
    "Overall",
    "Table 1: F2 per label",
    "Dehazing",
    "Losses and thresholds",
    "Recalibration",
)
PROTOCOLS = {
    "paper": "chosen and reported on the same chips (the paper's protocol as read here)",
    "nested": "nested",
    "test": "on test chips",
}
PARTS = {
    "summary": summary,
    "results": results,
    "verdicts": verdicts,
    "leak": leak,
    "full-resolution": full_resolution,
    "completeness": completeness,
    "notebooks": notebooks,
    "measured": measured,
    "profiles": profiles,
}
PAGES = {"README.md": PARTS, "demo_site/README.md": {"speed": showcase_speed}}
