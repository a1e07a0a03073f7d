"""Figure 9, the picture of the running showcase: made where this machine can, else why not.

The site's own command does the work (`manage.py figure9`): nothing here imports from `demo_site`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from .. import predictor
from ..utils import files, system

#: Of 255. Two drawings of one page by one browser differ by up to 3 in some dozens of pixels.
EYE = 8


def make(root: Path, picture: Path, *, profile: str = "sample", seconds: float = 120) -> str:
    """Start the site, picture its first page into `picture`; "" or the reason why not.

    root     the checkout
    profile  only `sample` makes it: one page serves all profiles, and the others have other limits
    seconds  patience for the site, and as much again for the browser

    Raises nothing: without a new picture the paper is as whole as before; the reason is a result.
    """
    if profile != "sample":
        return f"the profile sample makes it, not {profile}"
    if system.browser() is None:
        return (
            "no Chromium is installed here (apt-get install chromium, or name it by PAPER_BROWSER)"
        )
    if importlib.util.find_spec("django") is None:
        return "the showcase's packages are not installed (pip install 'paperlib[demo]')"
    command = [sys.executable, "demo_site/manage.py", "figure9"]
    # No limit around it: a killed command could not end the site it started.
    done = subprocess.run(
        [*command, "--out", str(picture), "--seconds", str(seconds)],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    return f"the command figure9 failed: {said}"


def looks_like(one: Path, other: Path) -> bool:
    """Whether two pictures are the same to the eye: equal in size, no channel off by over `EYE`."""
    with Image.open(one) as a, Image.open(other) as b:
        if a.size != b.size:
            return False
        difference = np.asarray(a.convert("RGB"), int) - np.asarray(b.convert("RGB"), int)
    return bool(np.abs(difference).max(initial=0) <= EYE)


def write_card(picture: str | Path, name: str = "planet32") -> None:
    """Write into a PNG which release is at work in it: the SHA-256 of the release's card.

    picture  the PNG; its pixels stay as they are
    name     released model
    """
    with Image.open(picture) as image:
        image.load()
    text = PngImagePlugin.PngInfo()
    text.add_text("card", files.sha256(predictor.RELEASED / name / "card.json"))
    with files.replacing(picture) as partial:
        image.save(partial, "PNG", pnginfo=text, optimize=True)


def shows_release(picture: str | Path, name: str = "planet32") -> bool:
    """Whether a PNG was made with the release as it is now (`write_card`)."""
    with Image.open(picture) as image:
        image.load()
        written = image.info.get("card", "")
    return written == files.sha256(predictor.RELEASED / name / "card.json")
