"""Which chips at which size, and which network: one named profile per kind of machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from .utils.errors import PaperError


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
    label_epochs, label_batch  the same for the networks of one label each: there are 34 of them,
              and one label is less to learn than seventeen
    rate      Adam's first learning rate
    weights   `""` (from scratch), `"imagenet"` or a file
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
    label_epochs: int
    batch: int
    label_batch: int
    rate: float
    weights: str
    precision: str
    meant_for: str


PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile(
            name="sample",
            source="scenes",
            size=32,
            chips=4000,
            width=0.125,
            narrow=0.125,
            epochs=6,
            label_epochs=1,
            batch=64,
            label_batch=32,
            rate=1e-3,
            weights="",
            precision="float32",
            meant_for="generated scenes, no download: any laptop, minutes",
        ),
        Profile(
            name="tiny",
            source="scenes",
            size=32,
            chips=96,
            width=0.0625,
            narrow=0.0625,
            epochs=2,
            label_epochs=2,
            batch=16,
            label_batch=16,
            rate=1e-3,
            weights="",
            precision="float32",
            meant_for="a few dozen generated scenes: every notebook in seconds, for the tests",
        ),
        Profile(
            name="planet32",
            source="planet",
            size=32,
            chips=0,
            width=0.25,
            narrow=0.125,
            epochs=12,
            label_epochs=4,
            batch=128,
            label_batch=128,
            rate=1e-3,
            weights="",
            precision="float32",
            meant_for="Planet chips at 32 px, narrow VGG-16: a laptop in half an hour",
        ),
        Profile(
            name="paper",
            source="planet",
            size=128,
            chips=0,
            width=1.0,
            narrow=1.0,
            epochs=30,
            label_epochs=30,
            batch=64,
            label_batch=64,
            rate=1e-4,
            weights="imagenet",
            precision="mixed_bfloat16",
            meant_for="Planet chips at 128 px, ImageNet VGG-16: a GPU",
        ),
    )
}
DEFAULT = "sample"


def profile(name: str) -> Profile:
    """The profile of that name; `PaperError` with the names there are otherwise.

    Where the environment's `PAPER_IMAGENET` names a file (a Keras notop `.h5` of VGG-16), it takes
    the place of the ImageNet weights that Keras would download.
    """
    try:
        found = PROFILES[name]
    except KeyError:
        raise PaperError(
            f"no profile is called {name!r}", f"choose one of {', '.join(PROFILES)}"
        ) from None
    given = os.environ.get("PAPER_IMAGENET", "")
    return replace(found, weights=given) if given and found.weights == "imagenet" else found
