"""Which chips at which size, and which network: one named profile per kind of machine."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import PaperError


@dataclass(frozen=True)
class Profile:
    """What the notebooks run on.

    name      as on the command line and in `figures/<name>/`, `results/<name>/`
    source    `"scenes"` (generated, no download) or `"planet"` (needs `--data`)
    size      height and width in pixels of the chips the network sees
    chips     how many scenes are generated; 0 for real chips (all there are)
    width     channels of VGG-16 as a share of the published ones
    narrow    the same for the networks of a grid (up to 102 of them)
    epochs    the most epochs a network is trained for
    batch     chips per step
    rate      Adam's first learning rate
    weights   `""` (from scratch) or `"imagenet"`
    precision Keras' dtype policy while training
    meant_for one line for `paper list` and the README
    """

    name: str
    source: str
    size: int
    chips: int
    width: float
    narrow: float
    epochs: int
    batch: int
    rate: float
    weights: str
    precision: str
    meant_for: str


PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile(
            "sample",
            "scenes",
            32,
            5000,
            0.25,
            0.125,
            6,
            64,
            1e-3,
            "",
            "float32",
            "generated scenes, no download: any laptop, minutes",
        ),
        Profile(
            "tiny",
            "scenes",
            32,
            96,
            0.0625,
            0.0625,
            2,
            16,
            1e-3,
            "",
            "float32",
            "a few dozen generated scenes: every notebook in seconds, for the tests",
        ),
        Profile(
            "planet32",
            "planet",
            32,
            0,
            0.25,
            0.125,
            12,
            128,
            1e-3,
            "",
            "float32",
            "Planet chips at 32 px, narrow VGG-16: a laptop in half an hour",
        ),
        Profile(
            "paper",
            "planet",
            128,
            0,
            1.0,
            1.0,
            30,
            64,
            1e-4,
            "imagenet",
            "mixed_bfloat16",
            "Planet chips at 128 px, ImageNet VGG-16: a GPU",
        ),
    )
}
DEFAULT = "sample"


def profile(name: str) -> Profile:
    """The profile of that name; `PaperError` with the names there are otherwise."""
    try:
        return PROFILES[name]
    except KeyError:
        raise PaperError(
            f"no profile is called {name!r}", f"choose one of {', '.join(PROFILES)}"
        ) from None
