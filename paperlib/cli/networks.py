"""Commands that train networks, time them and release one."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ..utils.errors import PaperError
from .common import PROFILE, checkout_root, name_backend

app = typer.Typer()


@app.command()
def train(
    grid: str = typer.Option(
        "",
        help="main, seeds, labels, labels-joint, labels-full (for a GPU), full, paper, released, "
        "readings, section-4.2, transforms, leak, backbones, plateau, rules.",
    ),
    profile: str = PROFILE,
    data: str = typer.Option("", help="Folder with train_v2.csv and train-jpg (or an archive)."),
    scheduler: str = typer.Option("", help="Address of a Dask scheduler, to train elsewhere."),
    set_: list[str] = typer.Option(None, "--set", metavar="KEY=VALUE", help="Change all runs."),
    backend: str = typer.Option("", help="tensorflow (the default), jax or torch."),
) -> None:
    """Train a grid of networks, or the profile's one; a killed run continues."""
    name_backend(backend)
    from ..profiles import profile as known
    from ..training.config import Config

    try:  # before anything slow is imported
        changes = Config.parse(set_ or ())
        single = Config.of(known(profile), **changes)
    except ValueError as error:
        raise PaperError(f"--set {error}") from None
    print("paper: starting the training …", file=sys.stderr, flush=True)
    from ..project import Project
    from ..studies import grids, run_grid

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
    """Compare all saved runs with the code of now by their probes."""
    from ..project import Project
    from ..training import identity

    runs = Project(profile).runs
    for folder, what in identity.record_all(runs):
        print(f"{folder.relative_to(runs)}: {what}", flush=True)


@app.command()
def transfer(
    data: str = typer.Option(..., help="Folder of the chips with their label file."),
    chips: str = typer.Option("ucmerced", help="Which chips these are: ucmerced or planet."),
    sizes: list[int] = typer.Option([], "--size", help="Chips' side in pixels; by default all."),
    only_saved: bool = typer.Option(False, "--only-saved", help="Ship what is there, no more."),
) -> None:
    """Transfer learning on real chips, as notebook 11 shows it; a killed run continues."""
    print("paper: starting …", file=sys.stderr, flush=True)
    from ..studies import transfer_real

    root = checkout_root()
    if chips not in transfer_real.SETS:
        raise PaperError(f"--chips {chips}", f"write one of {', '.join(transfer_real.SETS)}")
    for size in sizes or transfer_real.SETS[chips].sizes:
        made = transfer_real.ship(data, size, root / "results", which=chips, only_saved=only_saved)
        print(made.relative_to(root) if made else f"{size} px: nothing yet")


@app.command("full-resolution")
def full_resolution(
    data: str = typer.Option("", help="Folder of the UC Merced pictures and their label file."),
    part: str = typer.Option(
        "", help="features, fine-tuned or real-haze; by default the first two."
    ),
    only_saved: bool = typer.Option(False, "--only-saved", help="Ship what is there, no more."),
    hazy: str = typer.Option("", help="For real-haze: folder of remote_sensing/ and pairs/."),
    planet: str = typer.Option("", help="For real-haze: Planet chips at full size."),
) -> None:
    """Haze added to UC Merced's pictures, as notebook 16 shows it; a killed run continues."""
    parts = ("features", "fine-tuned")
    if part and part not in (*parts, "real-haze"):
        raise PaperError(f"--part {part}", f"write one of {', '.join(parts)}, real-haze")
    print("paper: starting …", file=sys.stderr, flush=True)
    from ..studies import fine_tuned, full_resolution, real_haze

    root = checkout_root()
    if part == "real-haze":
        print(real_haze.ship(hazy, planet, root / "results").relative_to(root))
        return
    for name, study in zip(parts, (full_resolution, fine_tuned), strict=True):
        if part in ("", name):
            made = study.ship(data, root / "results", only_saved=only_saved)
            print(made.relative_to(root) if made else f"{name}: nothing yet")


@app.command()
def speed(
    profile: str = typer.Option("planet32", help="Whose networks: those of the grid backbones."),
) -> None:
    """Time the networks of notebook 12 on one core of this machine (a few minutes)."""
    print("paper: starting …", file=sys.stderr, flush=True)
    from ..project import Project
    from ..studies import accuracy_against_size as sizes
    from ..studies import speed as clock

    project = Project(profile)
    wanted = [(c.network, c.width) for c in sizes.configs(project.profile) if not c.teacher]
    made = clock.measure(project, dict.fromkeys(wanted))
    print(made.relative_to(project.root))


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
    from ..project import Project
    from ..studies import grids
    from ..studies.release import release as write

    project = Project(profile, data)
    config = grids.configs(grid, project.profile)[-1] if grid else None
    inside = grids.GRIDS[grid].folder if grid else ""
    if bits not in (8, 32):
        raise PaperError(f"--bits {bits}", "write 8 or 32")
    folder = Path(out) if out else None
    print(write(project, config, inside=inside, views=views, bits=bits, folder=folder))
