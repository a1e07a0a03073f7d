"""The `paper` command. Each command only reads its arguments, calls the library and prints.

Imports stand inside the commands, so that `paper --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from .utils.errors import PaperError, of_the_system

app = typer.Typer(
    name="paper",
    help="Reproduce the paper: notebooks, figures, tables, predictions and the showcase.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The Planet chips: get them, look at them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
# Commands that need the whole extra.
_NOTEBOOKS = {"run", "list", "report", "verify", "diff", "scenes"}


def _checkout() -> Path:
    """The checkout's root; `PaperError` where there is none."""
    from .utils.paths import checkout

    if (root := checkout()) is None:
        raise PaperError("no checkout here", "run the command in the checkout")
    return root


@app.command()
def run(
    notebooks: list[str] = typer.Argument(None, help="Numbers or names; all by default."),
    profile: str = typer.Option("sample", help="sample, tiny, planet32 or paper."),
    data: str = typer.Option("", help="Folder with train_v2.csv and train-jpg (or an archive)."),
    force: bool = typer.Option(False, help="Run also what is current (trained networks stay)."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Go on without unreadable chips."),
    set_: list[str] = typer.Option(None, "--set", metavar="NAME=VALUE", help="A parameter."),
    backend: str = typer.Option("", help="tensorflow (the default), jax or torch."),
    watch: bool = typer.Option(
        False, "--watch", help="Run again when a file they reach is saved; refresh `paper diff`."
    ),
    style: str = typer.Option("", help="Draw as a journal wants it: nature-single, ieee-double …"),
) -> None:
    """Run the notebooks whose sources, data or results have changed."""
    _name_backend(backend)
    from .pipeline import rerun
    from .pipeline.parameters import literals
    from .pipeline.runner import Runner

    parameters = literals(set_ or ())
    if watch:
        rerun.watch(lambda: Runner(profile, data, skip_bad=skip_bad), notebooks or (), parameters)
    runner = Runner(profile, data, skip_bad=skip_bad)
    if style:
        from .pipeline.restyle import restyle

        for fault in (faults := restyle(runner, notebooks or (), style, parameters)):
            print(f"paper: {fault}", file=sys.stderr)
        raise typer.Exit(bool(faults))
    done = runner.run(notebooks or (), parameters=parameters, force=force)
    rerun.remember(runner, done)


@app.command("list")
def list_(
    profile: str = typer.Option("sample", help="sample, tiny, planet32 or paper."),
    data: str = typer.Option("", help="Compare with this data folder, too."),
) -> None:
    """Show each notebook, what it makes, and whether that is there and current."""
    from .pipeline.runner import Runner
    from .pipeline.screen import listing
    from .training.identity import standings

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
    from .pipeline.report import write
    from .profiles import profile as known

    root = _checkout()
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
    profile: str = typer.Option("sample", help="sample, tiny, planet32 or paper."),
    write: bool = typer.Option(
        False, "--write", help="For authors: what lies here is what is shipped from now on."
    ),
) -> None:
    """Compare what this machine made with what the authors shipped; exit code 1 if it differs."""
    from .pipeline import verify as verification
    from .profiles import profile as known

    root = _checkout()
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
    profile: str = typer.Option("sample", help="sample, tiny, planet32 or paper."),
) -> None:
    """For authors: which figures, table cells and verdicts moved since a commit, side by side."""
    from .pipeline import diff as differences
    from .profiles import profile as known

    root = _checkout()
    changes = differences.diff(root, known(profile).name, revision)
    page = differences.write(root, changes)
    print(*changes.lines, sep="\n")
    print(f"{page.relative_to(root)}")


@app.command(hidden=True)
def readme() -> None:
    """Write the generated parts of README.md again."""
    from .pipeline import readme as parts

    root = _checkout()
    print(f"README.md: {', '.join(parts.update(root)) or 'nothing'} changed")


@app.command()
def demo(
    port: int = typer.Option(8000, "--port", min=1, max=65535, help="The port on this machine."),
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open a browser."),
) -> None:
    """Start the showcase on this machine: web site, worker and example gallery."""
    from .utils.paths import checkout

    root = checkout()
    if root is None or not (root / "demo_site").is_dir():
        raise PaperError("the showcase is not here", "run the command in a checkout")
    import django  # noqa: F401  where it is missing, `main` says how to install it

    sys.path.insert(0, str(root / "demo_site"))
    from showcase.run import demo as serve

    sys.exit(serve(port, browser=not no_browser))


@data_app.command("check")
def data_check(
    folder: str = typer.Argument(help="Folder with train_v2.csv and train-jpg (or an archive)."),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Say what a folder of Planet chips holds, and whether a run on it would go through."""
    import json

    from rich.console import Console

    from .chips.check import check

    report = check(folder, progress=sys.stderr.isatty())
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(report)
    raise typer.Exit(0 if report.ok else 1)


@data_app.command("fetch")
def data_fetch(
    folder: str = typer.Argument("data/planet", help="Where to put train_v2.csv and train-jpg."),
    again: bool = typer.Option(False, "--again", help="Download anew, after a damaged download."),
) -> None:
    """Get the Planet chips from Kaggle (needs an account), check them and lay them out."""
    from .chips.download import fetch

    print(f"{fetch(folder, again=again)}: complete; use it with --data {folder}")


@app.command()
def train(
    grid: str = typer.Option(
        "",
        help="main, seeds, labels, labels-joint, labels-full (for a GPU), full, paper, released, "
        "readings, section-4.2, transforms, leak, backbones, rules.",
    ),
    profile: str = typer.Option("sample", help="sample, tiny, planet32 or paper."),
    data: str = typer.Option("", help="Folder with train_v2.csv and train-jpg (or an archive)."),
    scheduler: str = typer.Option("", help="Address of a Dask scheduler, to train elsewhere."),
    set_: list[str] = typer.Option(None, "--set", metavar="KEY=VALUE", help="Change all runs."),
    backend: str = typer.Option("", help="tensorflow (the default), jax or torch."),
) -> None:
    """Train a grid of networks, or the profile's one; finished runs are saved, killed ones go
    on."""
    _name_backend(backend)
    from .profiles import profile as known
    from .training.config import Config

    try:  # before anything slow is imported
        changes = Config.parse(set_ or ())
        single = Config.of(known(profile), **changes)
    except ValueError as error:
        raise PaperError(f"--set {error}") from None
    print("paper: starting the training …", file=sys.stderr, flush=True)
    from .project import Project
    from .studies import grids, run_grid

    project, folder, wanted = Project(profile, data), "", [single]
    if grid:
        wanted = grids.configs(grid, project.profile, **changes)
        folder = grids.GRIDS[grid].folder
    finished = run_grid.run(project, wanted, folder=folder, scheduler=scheduler)
    for one in finished:
        score = f"F2 {one.val_f2:.4f} at 0.2"
        print(f"{one.folder.name}: {score}, best of {len(one.history)} epochs")
    if grid:
        print(f"written: {run_grid.record(project, grid, finished)}", file=sys.stderr)


@app.command(hidden=True)
def probe(
    profile: str = typer.Option("planet32", help="Whose training runs."),
) -> None:
    """Compare all saved runs with the code of now by their probes; one without gets its own."""
    from .project import Project
    from .training import identity

    runs = Project(profile).runs
    for place in sorted(runs.rglob("run.json"), key=lambda path: (len(path.parts), path)):
        try:
            what = identity.record(place.parent)
        except PaperError as error:
            what = str(error)
        print(f"{place.parent.relative_to(runs)}: {what}", flush=True)


@app.command()
def transfer(
    data: str = typer.Option(..., help="Folder of the chips with their label file."),
    chips: str = typer.Option("ucmerced", help="Which chips these are: ucmerced or planet."),
    sizes: list[int] = typer.Option([], "--size", help="Chips' side in pixels; by default all."),
    only_kept: bool = typer.Option(False, "--only-kept", help="Ship what is there, no more."),
) -> None:
    """Transfer learning on real chips, as notebook 11 shows it; a killed run continues."""
    print("paper: starting …", file=sys.stderr, flush=True)
    from .studies import transfer_real

    root = _checkout()
    if chips not in transfer_real.SETS:
        raise PaperError(f"--chips {chips}", f"write one of {', '.join(transfer_real.SETS)}")
    for size in sizes or transfer_real.SETS[chips].sizes:
        made = transfer_real.ship(data, size, root / "results", which=chips, only_kept=only_kept)
        print(made.relative_to(root) if made else f"{size} px: nothing yet")


@app.command()
def speed(
    profile: str = typer.Option("planet32", help="Whose networks: those of the grid backbones."),
) -> None:
    """Time the networks of notebook 12 on one core of this machine (a few minutes)."""
    print("paper: starting …", file=sys.stderr, flush=True)
    from .project import Project
    from .studies import accuracy_against_size as sizes
    from .studies import speed as clock

    project = Project(profile)
    wanted = [(c.network, c.width) for c in sizes.configs(project.profile) if not c.teacher]
    made = clock.measure(project, dict.fromkeys(wanted))
    print(made.relative_to(project.root))


@app.command()
def predict(
    inputs: list[str] = typer.Argument(help="Image files, or folders of them (to any depth)."),
    out: str = typer.Option(..., "--out", help="The CSV file to write."),
    model: str = typer.Option("planet32", help="A released model's name, or its folder."),
    views: int = typer.Option(0, min=0, max=8, help="Symmetries to average; 0: as released."),
    workers: int = typer.Option(0, min=0, help="Threads that read; 0: one for each core."),
    chip: int = typer.Option(256, min=8, help="Side of the chips a GeoTIFF is cut into, pixels."),
    raster: bool = typer.Option(False, "--raster", help="Map GeoTIFFs as GeoTIFF, a band a label."),
) -> None:
    """Label images: image_name, tags, and one probability for each tag.

    A georeferenced TIFF of two chips or more on a side is cut into chips, and mapped beside the
    CSV: a GeoPackage with a polygon for each chip, or with --raster a GeoTIFF.
    """
    from . import predictor

    predictor.check_results(out)
    files = predictor.find_images(inputs)
    done = predictor.write_csv(
        out, predictor.load(model), files, views=views or None, workers=workers or None,
        chip=chip, raster=raster,
    )  # fmt: skip
    read = len(files) - len(done.failed)
    print(f"{out}: {read} of {len(files)} images labelled, {done.labelled} rows", file=sys.stderr)
    for written in done.maps:
        print(written, file=sys.stderr)
    for line in (*done.left_out, *done.failed):
        print(f"paper: {line}", file=sys.stderr)
    raise typer.Exit(1 if done.failed else 0)


@app.command()
def scenes(
    out: str = typer.Option("figures/sample/scenes_contact_sheet.png", help="PNG to write."),
) -> None:
    """Draw the contact sheet of the generated scenes: eight for each of the 17 labels."""
    from . import plots
    from .chips.scenes import examples
    from .plots.scenes import contact_sheet

    sheet = contact_sheet({tag: [s.image for s in found] for tag, found in examples().items()})
    print(*plots.save(sheet, Path(out).with_suffix(""), [".png"]))


@app.command()
def release(
    profile: str = typer.Option("planet32", help="Whose network."),
    data: str = typer.Option("", help="Folder with train_v2.csv and train-jpg (or an archive)."),
    views: int = typer.Option(1, min=1, max=8, help="Symmetries averaged at prediction."),
    grid: str = typer.Option("", help="Release this grid's last network, not the profile's own."),
    bits: int = typer.Option(8, help="8, or 32 for the float network (larger, slower)."),
    out: str = typer.Option("", "--out", help="Folder to write; by default the package's own."),
) -> None:
    """Make the released model of a profile from its training run, with its card."""
    from .project import Project
    from .studies import grids
    from .studies.release import release as write

    project = Project(profile, data)
    config = grids.configs(grid, project.profile)[-1] if grid else None
    inside = grids.GRIDS[grid].folder if grid else ""
    if bits not in (8, 32):
        raise PaperError(f"--bits {bits}", "write 8 or 32")
    folder = Path(out) if out else None
    print(write(project, config, inside=inside, views=views, bits=bits, folder=folder))


@app.command()
def dehaze(
    source: str = typer.Argument(metavar="IN", help="GeoTIFF, PNG or JPEG; or a folder of them."),
    target: str = typer.Argument(metavar="OUT", help="The file, or folder, to write."),
    patch: int = typer.Option(15, help="Side of the dark channel's window, pixels."),
    omega: float = typer.Option(0.95, help="Fraction of the haze that is removed."),
    t0: float = typer.Option(0.1, help="Least transmission divided by."),
    fraction: float = typer.Option(0.01, help="Fraction of the pixels that may be the light."),
    radius: int = typer.Option(40, help="Half the guided filter's window, pixels."),
    eps: float = typer.Option(1e-3, help="The guided filter's smoothing."),
    tile: int = typer.Option(1024, help="Side of the tiles, pixels; memory grows with it."),
    workers: int = typer.Option(0, min=0, help="Threads; 0: one for each core."),
    scheduler: str = typer.Option("", help="Address of a Dask scheduler to work on."),
    range_: tuple[float, float] = typer.Option(
        None,
        "--range",
        metavar="LOW HIGH",
        help="The values of black and white, as 0 10000; by default what the file says.",
    ),
    bands: str = typer.Option("", metavar="R,G,B", help="Band numbers of red, green and blue."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar."),
) -> None:
    """Remove haze from an image, or a folder of them, of any size; a killed run continues."""
    from .dehaze import dehaze_scene

    try:
        numbers = [int(band) for band in bands.split(",")] if bands else None
    except ValueError:
        raise PaperError(f"--bands {bands}", "name band numbers, as --bands 3,2,1") from None
    try:
        report = dehaze_scene(
            source, target, tile=tile, scheduler=scheduler or None, workers=workers or None,
            progress=not quiet, patch=patch, omega=omega, t0=t0, fraction=fraction,
            radius=radius, eps=eps, bands=numbers,
            value_range=range_,
        )  # fmt: skip
    except ValueError as error:  # an option out of range; the message names it
        raise PaperError(f"--{error}") from error
    print(report, file=sys.stderr)
    for name, note in report.notes:
        print(f"paper: {name}: {note}", file=sys.stderr)
    for name, why in report.failed:
        print(f"paper: {name}: {why}", file=sys.stderr)
    raise typer.Exit(1 if report.failed else 0)


def _name_backend(name: str) -> None:
    if name:
        from .utils.backend import choose

        choose(name)


def main() -> None:
    """Entry point: a `PaperError`, a full or read-only disk or a missing extra becomes one line and
    exit code 1, an interrupt 130."""
    for stream in (sys.stdout, sys.stderr):  # a locale without ω and … is no reason to fail
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except PaperError as error:
        print(f"paper: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if (told := of_the_system(error)) is None:
            raise
        print(f"paper: {told}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        from .utils import extras

        within = "notebooks" if sys.argv[1:2] and sys.argv[1] in _NOTEBOOKS else ""
        if (cure := extras.missing(error, within)) is None:
            raise
        print(f"paper: {cure}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:  # typer turns an interrupt into this exit code without a word
        if end.code == 130:
            print("paper: interrupted; the same command continues from here", file=sys.stderr)
        raise
