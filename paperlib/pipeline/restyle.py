"""`paper run --style NAME`: the figures once more, at a journal's width, in its font and formats.

The notebooks run again from what is saved, in kernels that know the style (`PAPER_STYLE`):
`Project.save_figure` writes to `figures/<profile>/<style>/` and checks each figure, and no table is
written. The standard figures, the results and the manifest stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..utils import files
from ..utils.errors import PaperError
from . import notebooks
from .execute import Watcher, execute, kernel_environment
from .screen import Screen, duration
from .standing import Standing
from .trace import read_trace


def restyle(
    standing: Standing,
    wanted: Sequence[str],
    style: str,
    parameters: Mapping[str, Any] | None = None,
    screen: Screen | None = None,
) -> list[str]:
    """Draw the figures of the notebooks asked for in a style; what a reader could not make out.

    Raises `PaperError` for an unknown style, a notebook that is not current (run it first), and one
    that changed an output.
    """
    from ..plots._journals import journal

    journal(style)
    screen, more = screen or Screen(), dict(parameters or {})
    chosen = [n for n in notebooks.choose(standing.notebooks, list(wanted)) if n.figures]
    faults: list[str] = []
    for notebook in chosen:
        if standing.cannot_run(notebook):
            screen.done(notebook.name, f"skipped: {standing.cannot_run(notebook)}")
            continue
        if reason := standing.state(notebook, more).reason:
            raise PaperError(f"{notebook.name}: {reason}", "run it first, without --style")
        faults += _draw(standing, notebook, style, more, screen)
    where = standing.project.figures.relative_to(standing.root) / style
    screen.line(f"see {where.as_posix()}; to mend: {len(faults) or 'nothing'}")
    return faults


def _draw(
    standing: Standing,
    notebook: notebooks.Notebook,
    style: str,
    more: dict[str, Any],
    screen: Screen,
) -> list[str]:
    profile, folder = standing.profile.name, standing.cache / "run" / style
    trace = folder / f"{notebook.name}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    trace.unlink(missing_ok=True)
    outputs = [standing.root / path for path in notebook.outputs(profile)]
    before = {path: files.sha256(path) for path in outputs}
    screen.start(notebook.name, None, f"style {style}")
    try:
        done = execute(
            notebook,
            {"profile": profile, "data": str(standing.project.data or ""), **more},
            copy=folder / f"{notebook.name}.ipynb",
            limit=notebook.limit(profile),
            environment=kernel_environment(
                standing.cache,
                PAPER_CACHE=str(standing.cache),
                PAPER_TRACE=str(trace),
                PAPER_STYLE=style,
                PAPER_SKIP_BAD="1" if standing.skip_bad else "",
            ),
            watcher=Watcher(
                partial(screen.cell, notebook.name), partial(screen.text, notebook.name)
            ),
        )
    finally:
        screen.stop(notebook.name)
    if moved := [path.name for path in outputs if files.sha256(path) != before[path]]:
        raise PaperError(f"{notebook.name} changed {', '.join(moved)}", "a style may draw only")
    drawn = [told for told in read_trace(trace) if "figure" in told]
    screen.done(
        notebook.name, f"{len(drawn)} figure{'s' * (len(drawn) != 1)}, {duration(done.seconds)}"
    )
    return [fault for told in drawn for fault in told["faults"]]
