"""Commands for a user's own images."""

from __future__ import annotations

import sys

import typer

from ..utils.errors import PaperError

app = typer.Typer()


@app.command()
def predict(
    inputs: list[str] = typer.Argument(help="Image files, or folders of them (to any depth)."),
    out: str = typer.Option(..., "--out", help="The CSV file to write."),
    model: str = typer.Option("planet32", help="A released model's name, or its folder."),
    views: int = typer.Option(0, min=0, max=8, help="Symmetries to average; 0: as released."),
    find_rare: bool = typer.Option(
        False, "--find-rare", help="Thresholds for each label's own F2: rare ones, more alarms."
    ),
    workers: int = typer.Option(0, min=0, help="Threads that read; 0: one for each core."),
    chip: int = typer.Option(256, min=8, help="Side of the chips a GeoTIFF is cut into, pixels."),
    raster: bool = typer.Option(False, "--raster", help="Map GeoTIFFs as GeoTIFF, a band a label."),
    scheduler: str = typer.Option("", help="Address of a Dask scheduler to work on."),
) -> None:
    """Label images: image_name, tags, and one probability for each tag.

    A georeferenced TIFF of two chips or more on a side is cut into chips, and mapped beside the
    CSV: a GeoPackage with a polygon for each chip, or with --raster a GeoTIFF.
    """
    from .. import predictor

    predictor.check_results(out)
    files = predictor.find_images(inputs)
    done = predictor.write_csv(
        out, predictor.load(model), files, views=views or None,
        thresholds="labels" if find_rare else "chips", workers=workers or None,
        chip=chip, raster=raster, scheduler=scheduler or None,
    )  # fmt: skip
    read = len(files) - len(done.failed)
    print(f"{out}: {read} of {len(files)} images labelled, {done.labelled} rows", file=sys.stderr)
    for written in done.maps:
        print(written, file=sys.stderr)
    for line in (*done.left_out, *done.failed):
        print(f"paper: {line}", file=sys.stderr)
    raise typer.Exit(1 if done.failed else 0)


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
    from ..dehaze import dehaze_scene

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
