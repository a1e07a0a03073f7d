"""Profile `paper` from end to end on a few full-size chips: a proof that the path works.

    PAPER_IMAGENET=FILE python tests/benchmarks/paper_profile.py DATA [EPOCHS]

DATA is a folder with the competition's layout (122 chips do); FILE a Keras notop `.h5` of VGG-16,
without which Keras downloads its own. Runs `paper run 05 06 08 --profile paper` in a copy of what
is committed, with at most EPOCHS (2; the profile has 30, with early stopping) as the one change,
and checks that every declared output is there, that the network started from ImageNet's weights
and was trained on these chips, and that nothing was written in this checkout. Minutes on two cores.
The numbers mean nothing.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from notebooks_without_data import ROOT, clone, paper

WANTED = ("05", "06", "08")


def listed(root: Path) -> dict[str, int]:
    folders = (root / "results", root / "figures")
    return {str(p): p.stat().st_mtime_ns for f in folders for p in f.rglob("*") if p.is_file()}


def main(data: str, epochs: int = 2) -> None:
    from paperlib.pipeline import notebooks
    from paperlib.training.runs import load

    before = listed(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "clone"
        clone(place)
        profiles = place / "paperlib" / "profiles.py"
        text = profiles.read_text(encoding="utf-8")
        head, tail = text.split('Profile("paper"')
        fewer = re.sub(r"1\.0, 1\.0, \d+, \d+", f"1.0, 1.0, {epochs}, {epochs}", tail, count=1)
        assert fewer != tail
        profiles.write_text(f'{head}Profile("paper"{fewer}', encoding="utf-8")
        began = time.monotonic()
        paper(place, "run", *WANTED, "--profile", "paper", "--data", str(Path(data).resolve()))
        declared = notebooks.read_all(place / "notebooks")
        for notebook in notebooks.choose(declared, list(WANTED)):
            outputs = notebook.outputs("paper")
            missing = [path for path in outputs if not (place / path).is_file()]
            assert not missing, missing
            print(f"{notebook.name}: {len(outputs)} outputs are there")
        (run,) = (load(p.parent) for p in (place / "results/paper/runs").glob("*/run.json"))
        assert (run.config.size, run.config.width) == (128, 1.0), run.config
        assert run.config.weights, "not from ImageNet's weights"
        assert 1 <= len(run.history) <= epochs
        print(
            f"{run.config.slug}: {run.metadata['chips']['count']} chips, {len(run.history)} epochs"
        )
        print(f"{time.monotonic() - began:.0f} s")
    assert listed(ROOT) == before, "something was written in this checkout"


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(sys.argv[1], *(int(a) for a in sys.argv[2:]))
