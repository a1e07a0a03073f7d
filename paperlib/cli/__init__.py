"""The `paper` command. Each command only reads its arguments, calls the library and prints.

Imports stand inside the commands, so that `paper --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from ..utils.errors import PaperError, of_the_system
from . import data, images, networks, notebooks

app = typer.Typer(
    name="paper",
    help="Reproduce the paper: notebooks, figures, tables, predictions and the showcase.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (notebooks, images, networks):
    app.add_typer(part.app)
app.add_typer(data.app, name="data")
# Commands that need the whole extra.
_NOTEBOOKS = {"run", "list", "report", "verify", "diff", "scenes"}


@app.command()
def demo(
    port: int = typer.Option(8000, "--port", min=1, max=65535, help="The port on this machine."),
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open a browser."),
) -> None:
    """Start the showcase on this machine: web site, worker and example gallery."""
    from ..utils.paths import checkout

    root = checkout()
    if root is None or not (root / "demo_site").is_dir():
        raise PaperError("the showcase is not here", "run the command in a checkout")
    import django  # noqa: F401  where it is missing, `main` says how to install it

    sys.path.insert(0, str(root / "demo_site"))
    from showcase.run import demo as serve

    sys.exit(serve(port, browser=not no_browser))


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
        from ..utils import extras

        within = "notebooks" if sys.argv[1:2] and sys.argv[1] in _NOTEBOOKS else ""
        if (cure := extras.missing(error, within)) is None:
            raise
        print(f"paper: {cure}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:  # typer turns an interrupt into this exit code without a word
        if end.code == 130:
            print("paper: interrupted; the same command continues from here", file=sys.stderr)
        raise
