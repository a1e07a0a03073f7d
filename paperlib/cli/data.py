"""Commands over the Planet chips."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(help="The Planet chips: get them, look at them.", no_args_is_help=True)


@app.command("check")
def check(
    folder: str = typer.Argument(help="Folder with train_v2.csv and train-jpg (or an archive)."),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Say what a folder of Planet chips holds, and whether a run on it would go through."""
    import json

    from rich.console import Console

    from ..chips.check import check

    report = check(folder, progress=sys.stderr.isatty())
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command("fetch")
def fetch(
    folder: str = typer.Argument("data/planet", help="Where to put train_v2.csv and train-jpg."),
    again: bool = typer.Option(False, "--again", help="Download anew, after a damaged download."),
) -> None:
    """Get the Planet chips from Kaggle (needs an account), check them and lay them out."""
    from ..chips.download import fetch

    print(f"{fetch(folder, again=again)}: complete; use it with --data {folder}")
