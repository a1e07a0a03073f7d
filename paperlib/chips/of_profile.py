"""The chips of a profile: generated scenes, or the Planet chips of a data folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..profiles import Profile
from ..utils.errors import PaperError
from . import Chips, planet, scenes, variants


def read_chips(profile: Profile, data: Path | None, variant: str = "original") -> Chips:
    """A profile's chips at its size, read or drawn, from the cache where they were before.

    data     the folder with the competition's layout; None for generated scenes
    variant  one of `variants.VARIANTS`

    Raises `PaperError` where a profile of real chips is given no folder.
    """
    if profile.source == "scenes":
        if variant not in variants.VARIANTS[2:]:
            return scenes.read(profile.chips, size=profile.size, variant=variant)
        original, dehazed = (read_chips(profile, data, each) for each in ("original", "dehazed"))
        images = variants.compose(
            original.images, dehazed.images, original.labels, original.names, variant=variant
        )
        return original.with_images(images, variant)
    if data is None:
        raise PaperError(
            f"the profile {profile.name!r} needs the Planet chips",
            "give their folder with --data DIR (paper data fetch gets them)",
        )
    more = {} if variant == "original" else {"variant": variant}
    skip_bad = bool(os.environ.get("PAPER_SKIP_BAD"))
    return planet.read(data, profile.size, skip_bad=skip_bad, **more)
