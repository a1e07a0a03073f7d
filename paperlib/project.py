"""One profile's places and its chips: what a notebook opens first.

    paper = Project(profile="sample", data="")
    paper.chips()                      # read or drawn once, then saved
    paper.run(config)                  # trained once, then saved
    paper.save_figure(figure, "fig07_overall")
    paper.save_table(frame, "table1_f2")

A checkout is found from the package's own place or the working directory; its caches lie in
`.cache/` (or where `PAPER_CACHE` says) and can be thrown away at any time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chips import Chips
from .chips.of_profile import read_chips
from .profiles import DEFAULT, Profile, profile
from .training import identity, runs
from .utils import files
from .utils.errors import PaperError
from .utils.paths import checkout

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .training.config import Config
    from .training.runs import Run


class Project:
    """The chips, figures and results of one profile.

    profile  a name from `profiles.PROFILES`
    data     folder with the competition's layout, for profiles on real chips; `""` for none
    root     where `figures/` and `results/` lie; the checkout (or the working directory)
    """

    def __init__(self, profile: str = DEFAULT, data: str | Path = "", root: Path | None = None):
        self.profile: Profile = _profile(profile)
        self.data = Path(data).resolve() if data else None
        self.root = Path(root) if root else checkout() or Path.cwd()
        self.figures = self.root / "figures" / self.profile.name
        #: A journal's style (`paper run --style`): figures go to a folder of its own, tables stay.
        self.style = os.environ.get("PAPER_STYLE", "")
        self.results = self.root / "results" / self.profile.name
        self.runs = self.results / "runs"
        self._chips: dict[str, Chips] = {}

    @property
    def has_chips(self) -> bool:
        """False where only shipped predictions can be shown: real chips without `data`."""
        return self.profile.source == "scenes" or self.data is not None

    def chips(self, variant: str = "original") -> Chips:
        """The profile's chips at the profile's size, read or drawn once.

        variant  one of `chips.variants.VARIANTS`

        Raises `PaperError` where they are not at hand.
        """
        if variant not in self._chips:
            self._chips[variant] = chips = read_chips(self.profile, self.data, variant)
            self._note(
                chips={
                    "source": chips.source,
                    "count": len(chips),
                    "fingerprint": chips.fingerprint,
                    "skipped": [list(pair) for pair in chips.skipped],
                }
            )
        return self._chips[variant]

    def find(self, config: Config, inside: str = "") -> Run | None:
        """The saved training run of a configuration, or None.

        inside  the folder of `runs` to look in (`grids.Grid.folder`)

        With chips at hand a run counts only if it was made from these very chips; without, the
        shipped one is taken. Of generated scenes, which train in minutes, a run of other code does
        not count either; where training takes hours it does, and `paper run` says so.
        """
        chips = self.chips(config.variant) if self.has_chips else None
        run = runs.find(config, self.runs / inside, chips)
        other = identity.other_code(run, measure=self.trains_anew) if run else ""
        name = self._told(run or config.slug, inside)
        if run and other and self.trains_anew:
            self._note(run=name, saved=False, other_code=other)
            return None
        self._note(run=name, saved=run is not None, other_code=other)
        return run

    @property
    def trains_anew(self) -> bool:
        """Whether a run of other code is set aside and trained anew: where scenes are drawn."""
        return self.profile.source == "scenes"

    def run(self, config: Config, inside: str = "") -> Run:
        """The training run of a configuration: the saved one, or trained now and saved.

        Raises `PaperError` where none is saved and there are no chips to train on.
        """
        from .training import processes

        if run := self.find(config, inside):
            return run
        if not self.has_chips:
            raise PaperError(
                f"no training run {config.slug} in {self.runs / inside}, and no chips to train on",
                "give the folder of the Planet chips with --data DIR",
            )
        processes.train(self, [config], inside)
        run = runs.find(config, self.runs / inside, self.chips(config.variant))
        self._note(run=self._told(run, inside), saved=False)
        return run

    @staticmethod
    def _told(run: Run | str, inside: str) -> str:
        name = run if isinstance(run, str) else run.folder.name
        return f"{inside}/{name}" if inside else name

    def _note(self, **what: Any) -> None:
        """Tell `paper run` what this notebook used, for the manifest and its cache."""
        if trace := os.environ.get("PAPER_TRACE"):
            with open(trace, "a", encoding="utf-8") as handle:
                handle.write(json.dumps(what) + "\n")

    def save_figure(self, figure: Figure, name: str) -> list[Path]:
        """Write `name`.png, .svg, .pdf and .csv (the data drawn) in `figures/<profile>/`; equal
        figures, equal bytes. Under a journal's style: what it asks for, in a folder of its own."""
        from . import plots  # Matplotlib takes a second to import

        if not self.style:
            return plots.save(figure, self.figures / name)
        written, faults = plots.save_styled(figure, self.figures / self.style / name, self.style)
        self._note(figure=name, faults=faults)
        return written

    def save_table(self, frame: pd.DataFrame, name: str) -> Path:
        """Write `name`.csv under `results/<profile>/`, numbers with six significant digits."""
        path = self.results / f"{name}.csv"
        text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        if not self.style:
            files.write_text(path, text)
        return path

    def save_json(self, value: Any, name: str) -> Path:
        path = self.results / f"{name}.json"
        if not self.style:
            files.write_json(path, value)
        return path


_profile = profile  # the argument of Project.__init__ is called `profile` too
