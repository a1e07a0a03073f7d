"""The notebooks of a profile, as many at a time as fit, against one at a time.

    python tests/benchmarks/side_by_side.py [--profile sample] [--rounds 1]

Runs all notebooks in two clones of what is committed, each with a cache of its own, in turns, and
prints the ratio by the clock, what of two cores was busy, and whether both made the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from measure import PAPER, process

ROOT = Path(__file__).resolve().parents[2]
WAYS = {"side by side": "0", "one at a time": "1"}


def clone(place: Path) -> None:
    """What is committed, without the history."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    place.mkdir()
    subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)


def run(place: Path, profile: str, jobs: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    environment = {"PYTHONPATH": str(place), "PAPER_CACHE": str(place / ".cache")}
    command = [*PAPER, "run", "--profile", profile, "--jobs", jobs]
    return process(command, environment=os.environ | environment, cwd=place)[:2]


def outputs(place: Path, profile: str) -> dict[str, str]:
    """Digests of the declared outputs."""
    from paperlib.pipeline.manifest import read

    notebooks = read(place / "results" / profile)["notebooks"].values()
    paths = sorted(path for entry in notebooks for path in entry["outputs"])
    return {path: hashlib.sha256((place / path).read_bytes()).hexdigest() for path in paths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="sample")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            places = {way: Path(folder, jobs) for way, jobs in WAYS.items()}
            for place in places.values():
                clone(place)
            for way, place in places.items():
                took[way].append(run(place, given.profile, WAYS[way]))
            one, other = (outputs(place, given.profile) for place in places.values())
        differ = sorted(path for path in one | other if one.get(path) != other.get(path))
        print(f"{len(one)} outputs, {len(differ)} of them of other bytes", *differ[:5])
    clock = {way: [seconds for seconds, _ in rows] for way, rows in took.items()}
    ratio = statistics.median(
        a / b for a, b in zip(clock["side by side"], clock["one at a time"], strict=True)
    )
    for way, rows in took.items():
        seconds, processor = map(statistics.median, zip(*rows, strict=True))
        print(f"{way}: {seconds:.0f} s by the clock, {processor / seconds:.2f} cores busy")
    print(f"side by side / one at a time: {ratio:.2f} (goal 0.7)")


if __name__ == "__main__":
    main()
