"""Commands over the chips, Planet's and UC Merced's, and ImageNet's VGG-16."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(
    help="The chips of Planet and of UC Merced: get them, look at them.", no_args_is_help=True
)


@app.command("check")
def check(
    folder: str = typer.Argument(help="Folder with a label file and the chips (or an archive)."),
    data_set: str = typer.Option(
        "", "--set", help="planet or ucmerced; by default what the label file is of."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Say what a folder of chips holds, and whether a run on it would go through."""
    import json

    from rich.console import Console

    from ..chips.check import check

    report = check(folder, data_set, progress=sys.stderr.isatty())
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command("fetch")
def fetch(
    folder: str = typer.Argument("", help="Where to put them; by default data/planet or so."),
    data_set: str = typer.Option("planet", "--set", help="planet, ucmerced or vgg16."),
    again: bool = typer.Option(False, "--again", help="Download anew, after a damaged download."),
) -> None:
    """Get the chips, check them and lay them out: Planet's from Kaggle (needs an account), or UC
    Merced's; or ImageNet's VGG-16, which the networks of full width start from."""
    from ..utils import paths
    from ..utils.errors import PaperError

    place, use = folder or f"data/{data_set}", "use it with --data {place}"
    if data_set == "planet":
        from ..chips.download import fetch
    elif data_set == "ucmerced":
        from ..chips.download_ucmerced import fetch
    elif data_set == "vgg16":
        from ..networks.download_vgg16 import fetch

        place = folder or str(paths.cache_folder() / "weights")
        use = f"found by PAPER_WEIGHTS={folder}" if folder else "found where it is"
    else:
        raise PaperError(
            f"no data set is called {data_set!r}", "choose one of planet, ucmerced, vgg16"
        )
    done = fetch(place, again=again)
    print(f"{done}: complete; {use.format(place=done)}")
