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
    width     channels of VGG-16 as a fraction of the published ones
    narrow    the same for the networks of a grid (up to 102 of them)
    epochs    the most epochs a network is trained for
    batch     chips per step
    label_epochs, label_batch  the same for the networks of one label each: there are 34 of them,
              and one label is less to learn than seventeen
    rate      Adam's first learning rate
    weights   `""` (from scratch), `"imagenet"` or a file
    precision Keras' dtype policy while training
    watch     what a training's plateau goes by: `"val_loss"`, or `"val_f2"`, the metric
    augment   the random transforms, a name from `networks.augment.AUGMENTATIONS`
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
    watch: str = "val_loss"
    augment: str = "symmetries"


_ALL = (
    # name, source, size, chips, width, narrow, epochs, label_epochs, batch, label_batch, rate,
    # weights, precision, meant for
    Profile("sample", "scenes", 32, 4000, 0.125, 0.125, 6, 1, 64, 32, 1e-3, "", "float32",
            "generated scenes, no download: any laptop, minutes"),
    Profile("tiny", "scenes", 32, 96, 0.0625, 0.0625, 2, 2, 16, 16, 1e-3, "", "float32",
            "a few dozen generated scenes: every notebook in seconds, for the tests"),
    Profile("planet32", "planet", 32, 0, 0.25, 0.125, 12, 4, 128, 128, 1e-3, "", "float32",
            "Planet chips at 32 px: minutes from the shipped predictions, hours to train anew"),
    Profile("paper", "planet", 224, 0, 1.0, 1.0, 30, 30, 64, 64, 1e-4, "imagenet",
            "mixed_bfloat16", "Planet chips at VGGNet's 224 px, ImageNet VGG-16: a GPU",
            watch="val_f2", augment="figure-3"),
)  # fmt: skip
PROFILES: dict[str, Profile] = {each.name: each for each in _ALL}
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
