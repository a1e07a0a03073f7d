"""Figures 1-4 and 6-8 and table 1 on a fresh clone without the chips: within four minutes.

    python tests/benchmarks/notebooks_without_data.py [NOTEBOOK ...]

Runs notebooks 01 to 08 (or the ones given) of profile planet32 from what is committed, in a folder
and a cache of their own: nothing that an earlier run kept is used. Prints the seconds of each and
of the processor in all, and whether the tables are the shipped ones to six digits (the figures'
bytes may differ between machines). Fails above `LIMIT` seconds, or above as many seconds of the
processor, which a busy machine does not change much.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240
WANTED = ("01", "02", "03", "04", "05", "06", "07", "08")


def clone(place: Path) -> None:
    """What is committed, without the history."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    place.mkdir()
    subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)


def paper(place: Path, *arguments: str) -> None:
    """The `paper` command on a clone, with the clone's own library and cache."""
    command = "from paperlib.cli import main; main()"
    environment = {"PYTHONPATH": str(place), "PAPER_CACHE": str(place / ".cache")}
    subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=place,
        env=os.environ | environment,
        check=True,
    )


def same(shipped: Path, made: Path) -> bool:
    one, other = pd.read_csv(shipped), pd.read_csv(made)
    try:
        pd.testing.assert_frame_equal(one, other, rtol=1e-5, atol=1e-6)
    except AssertionError:
        return False
    return True


def main(wanted: list[str]) -> int:
    from paperlib.pipeline.manifest import read

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "clone"
        clone(place)
        began = time.monotonic()
        paper(place, "run", *wanted, "--profile", "planet32", "--force")
        took = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = used.ru_utime + used.ru_stime
        results = place / "results" / "planet32"
        for name, entry in sorted(read(results)["notebooks"].items()):
            if name[:2] not in wanted:
                continue
            tables = [p for p in entry["outputs"] if p.endswith(".csv") and (ROOT / p).is_file()]
            other = [Path(p).name for p in tables if not same(ROOT / p, place / p)]
            print(f"{name}: {len(tables)} tables", "other than shipped: " * bool(other), *other)
        print(f"{took:.0f} s, of the processor {processor:.0f} s; the limit is {LIMIT} s")
    return int(took > LIMIT or processor > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(WANTED)))
