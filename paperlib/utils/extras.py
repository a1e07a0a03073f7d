"""What is not part of the base installation: which extra brings a missing package."""

from __future__ import annotations

import importlib.metadata
import re

from .errors import PaperError

#: Import name -> name in the package index, where they differ.
_DISTRIBUTION = {"skimage": "scikit-image", "IPython": "ipykernel"}
#: Of several extras that bring a package, the one that is named: the smallest first.
_ORDER = ("fast", "train", "cluster", "demo", "notebooks", "dev")


def missing(error: ModuleNotFoundError, within: str = "") -> PaperError | None:
    """The one line that installs what an import did not find.

    Parameters
    ----------
    error : ModuleNotFoundError
        As it was raised by an import.
    within : str
        The extra that a command needs as a whole; by default the smallest that brings the module.

    Returns
    -------
    PaperError or None
        None for a module that no extra of `pyproject.toml` declares: then it is another fault.
    """
    module = (error.name or "").split(".")[0]
    extra = _extras().get(_plain(_DISTRIBUTION.get(module, module)))
    if extra is None:
        return None
    return PaperError(f"{module} is not installed", f"pip install 'paperlib[{within or extra}]'")


def _extras() -> dict[str, str]:
    """Name of a package -> the extra that brings it, as the installed package declares them."""
    found: dict[str, str] = {}
    for line in importlib.metadata.requires("paperlib") or ():
        match = re.match(r"([\w.-]+).*;.*\bextra == ['\"](\w+)['\"]", line)
        if match and match[2] in _ORDER:
            name, extra = _plain(match[1]), match[2]
            if name not in found or _ORDER.index(extra) < _ORDER.index(found[name]):
                found[name] = extra
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
