"""What commands of several modules do first."""

from __future__ import annotations

from pathlib import Path

import typer

from ..utils.errors import PaperError

#: The option of every command that works on a profile.
PROFILE = typer.Option("sample", help="sample, tiny, planet32 or paper.")


def checkout_root() -> Path:
    """The checkout's root; `PaperError` where there is none."""
    from ..utils.paths import checkout

    if (root := checkout()) is None:
        raise PaperError("no checkout here", "run the command in the checkout")
    return root


def name_backend(name: str) -> None:
    """Fix Keras' backend before anything imports Keras; `""` for the default."""
    if name:
        from ..utils.backend import choose

        choose(name)
