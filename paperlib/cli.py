"""The `paper` command. Each command only reads its arguments, calls the library and prints.

Imports stand inside the commands, so that `paper --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from .errors import PaperError

app = typer.Typer(
    name="paper",
    help="Reproduce the paper: notebooks, figures, tables, predictions and the showcase.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The Planet chips: get them, look at them.", no_args_is_help=True)
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point: a `PaperError` becomes one line and exit code 1, an interrupt 130."""
    try:
        app()
    except PaperError as error:
        print(f"paper: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("paper: interrupted; the same command continues from here", file=sys.stderr)
        sys.exit(130)
