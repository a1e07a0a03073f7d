"""Commands over the notebooks and what they make."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ..utils.errors import PaperError
from .common import PROFILE, checkout_root, name_backend

app = typer.Typer()


@app.command()
def run(
    notebooks: list[str] = typer.Argument(None, help="Numbers or names; all by default."),
    profile: str = PROFILE,
    data: str = typer.Option("", help="Folder with train_v2.csv and train-jpg (or an archive)."),
    force: bool = typer.Option(False, help="Run also what is current (trained networks stay)."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Go on without unreadable chips."),
    set_: list[str] = typer.Option(None, "--set", metavar="NAME=VALUE", help="A parameter."),
    backend: str = typer.Option("", help="tensorflow (the default), jax or torch."),
    jobs: int = typer.Option(
        0, min=0, help="Notebooks at a time; 0: as many as cores and free memory allow."
    ),
    watch: bool = typer.Option(
        False, "--watch", help="Run again when a file they reach is saved; refresh `paper diff`."
    ),
    style: str = typer.Option("", help="Draw as a journal wants it: nature-single, ieee-double …"),
) -> None:
    """Run the notebooks whose sources, data or results have changed."""
    name_backend(backend)
    from ..pipeline import rerun
    from ..pipeline.parameters import literals
    from ..pipeline.runner import Runner

    parameters = literals(set_ or ())
    if watch and (force or style):
        raise PaperError("--watch runs what was saved, as it is", "leave out --force and --style")
    if watch:
        rerun.watch(
            lambda: Runner(profile, data, skip_bad=skip_bad),
            notebooks or (),
            parameters,
            jobs=jobs,
        )
    runner = Runner(profile, data, skip_bad=skip_bad)
    if style:
        from ..pipeline.restyle import restyle

        for fault in (faults := restyle(runner, notebooks or (), style, parameters)):
            print(f"paper: {fault}", file=sys.stderr)
        raise typer.Exit(bool(faults))
    done = runner.run(notebooks or (), parameters=parameters, force=force, jobs=jobs)
    rerun.remember(runner, done)


@app.command("list")
def list_(
    profile: str = PROFILE,
    data: str = typer.Option("", help="Compare with this data folder, too."),
) -> None:
    """Show each notebook, what it makes, and whether that is there and current."""
    from ..pipeline.runner import Runner
    from ..pipeline.screen import listing
    from ..training.identity import standings

    runner = Runner(profile, data)
    listing([runner.state(notebook) for notebook in runner.notebooks], profile)
    for why, found in standings(runner.project.runs).items():
        print(f"{len(found)} training run{'s' * (len(found) > 1)}: {why or 'current'}")


@app.command()
def report(
    profile: str = typer.Option("", help="Hold this one to account; by default all that ran."),
    no_pdf: bool = typer.Option(False, "--no-pdf", help="Do not print the page to PDF."),
    strict: bool = typer.Option(False, "--strict", help="Fail for results of other code or data."),
) -> None:
    """Write results/report.html: each number and claim of the paper with its verdict."""
    from ..pipeline.report import write
    from ..profiles import profile as known

    root = checkout_root()
    made = write(root, held=known(profile).name if profile else "", pdf=not no_pdf)
    print(made.page.relative_to(root))
    if made.pdf:
        print(made.pdf.relative_to(root))
    elif not no_pdf:
        print(f"no PDF: {made.no_pdf}", file=sys.stderr)
    for fault in (*made.faults, *made.stale):
        print(f"paper: {fault}", file=sys.stderr)
    raise typer.Exit(1 if made.faults or (strict and made.stale) else 0)


@app.command()
def verify(
    profile: str = PROFILE,
    write: bool = typer.Option(
        False, "--write", help="For authors: what lies here is what is shipped from now on."
    ),
) -> None:
    """Compare what this machine made with what the authors shipped; exit code 1 if it differs."""
    from ..pipeline import verify as verification
    from ..profiles import profile as known

    root = checkout_root()
    name = known(profile).name
    if write:
        made = verification.write_expected(root, name)
        print(f"{made.relative_to(root)}: {made.stat().st_size / 1000:.0f} kB")
    found = verification.verify(root, name)
    page, text = verification.write(root, found)
    for fault in found.faults:
        print(f"paper: {fault}", file=sys.stderr)
    print(f"{page.relative_to(root)}, {text.relative_to(root)}\n{found.line}")
    raise typer.Exit(0 if found.agrees else 1)


@app.command()
def diff(
    revision: str = typer.Argument("HEAD", help='A commit, or "shipped".'),
    profile: str = PROFILE,
) -> None:
    """For authors: which figures, table cells and verdicts moved since a commit, side by side."""
    from ..pipeline import diff as differences
    from ..profiles import profile as known

    root = checkout_root()
    changes = differences.diff(root, known(profile).name, revision)
    page = differences.write(root, changes)
    print(*changes.lines, sep="\n")
    print(f"{page.relative_to(root)}")


@app.command(hidden=True)
def readme() -> None:
    """Write the generated parts of README.md again."""
    from ..pipeline import readme as parts

    root = checkout_root()
    print(f"README.md: {', '.join(parts.update(root)) or 'nothing'} changed")


@app.command()
def scenes(
    out: str = typer.Option("figures/sample/scenes_contact_sheet.png", help="PNG to write."),
) -> None:
    """Draw the contact sheet of the generated scenes: eight for each of the 17 labels."""
    from .. import plots
    from ..chips.scenes import examples
    from ..plots.scenes import contact_sheet

    sheet = contact_sheet({tag: [s.image for s in found] for tag, found in examples().items()})
    print(*plots.save(sheet, Path(out).with_suffix(""), [".png"]))
