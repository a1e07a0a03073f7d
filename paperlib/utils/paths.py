"""Where the checkout is, and where computed-once things are cached."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def checkout() -> Path | None:
    """The repository's root, or None where the package is installed on its own."""
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
                return folder
    return None


def cache_folder(root: Path | None = None) -> Path:
    """Where computed-once things are saved, as an absolute path; safe to delete.

    root  the checkout whose cache it is where PAPER_CACHE names none; this one by default
    """
    if given := os.environ.get("PAPER_CACHE"):
        return Path(given).absolute()
    root = root or checkout()
    return root / ".cache" if root else Path(platformdirs.user_cache_dir("paperlib"))
