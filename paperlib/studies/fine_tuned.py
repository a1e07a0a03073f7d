"""Notebook 16, second part: the paper's steps on pictures of known haze.

Pictures of full size, a third of them hazy (`chips.partly_hazy`), at 128 pixels; VGG-16 from
ImageNet, fine-tuned on the original and on the dehazed set with each of the paper's three losses;
the choice per label, then ridge, lasso or nothing; chosen on some pictures and reported on others.
Our departure: blocks 1 to 4 stay as ImageNet left them, and block 5 and the classifier learn.

    paper full-resolution --data DATA --part fine-tuned [--only-saved]

writes `results/ucmerced/fine_tuned.npz`: the predictions of every network for the pictures that it
was not trained on. What an earlier call finished is taken from the cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache as once_per_call
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..chips import Chips, leakage, partly_hazy, ucmerced, variants
from ..chips.split import first_by_hash
from ..evaluation.candidates import Candidate, Pool
from ..training.config import Config
from ..utils import cache, code, files
from ..utils.errors import PaperError
from . import transfer

SIZE, VIEWS = 128, 2  # pixels that the network sees; quarter turns shown while training
STOP = 200  # training pictures, by hash, that say when to stop and are not learned from
SEEDS = (0, 1, 2)
LOSSES = ("log", "f2", "hard")
NAME = "fine_tuned"
BOTH = "hazy-training-dehazed"  # the paper's section 4.2 as it is written
_COMPUTING = ("paperlib.chips.partly_hazy", "paperlib.training.last_block")


def configs() -> list[Config]:
    """Every run: for each seed the paper's six candidates, then two that single claims ask for."""
    kinds = [(variant, loss) for variant in partly_hazy.VARIANTS for loss in LOSSES]
    kinds += [(BOTH, "log"), ("original", "f2-chip")]
    return [
        Config(size=SIZE, weights=transfer.IMAGENET, frozen_to="block4", variant=variant, loss=loss,
               seed=seed, batch=32, precision="mixed_bfloat16")
        for seed in SEEDS
        for variant, loss in kinds
    ]  # fmt: skip


# ---- predictions ---------------------------------------------------------------------------------


def predictions(
    clear: Chips, *, only_saved: bool = False
) -> Iterator[tuple[Config, np.ndarray, dict]]:
    """Each run's `(M, L)` float16 of all pictures that are not for training, and what it was like.

    clear  all pictures at 256 pixels;  only_saved  what earlier calls have finished, and no more
    """
    made_by = code.stamp(*_COMPUTING)

    @once_per_call
    def pictures(variant: str) -> Chips:
        made = partly_hazy.chips(clear, SIZE, variant)
        held = made.take(np.flatnonzero(made.split != "train"))
        leakage.check_training(made.part("train"), held)
        return made

    @once_per_call
    def seen(variant: str) -> tuple[np.ndarray, np.ndarray]:
        """Maps of the training pictures `(V, N, …)`, and of the others as they are `(M, …)`."""
        if variant == BOTH:
            (original, held), (dehazed, _) = seen("original"), seen("dehazed")
            part = pictures("original").part("train")
            hazy = variants.hazy(part.labels, part.tags)
            return np.where(hazy[:, None, None, None], dehazed, original), held
        made, how = pictures(variant), configs()[0]
        held = made.take(np.flatnonzero(made.split != "train"))
        return last_block.maps(made.part("train"), how, VIEWS), last_block.maps(held, how)[0]

    for config in tqdm(configs(), unit="network", disable=only_saved):
        text = json.dumps(config.to_dict(), sort_keys=True)
        key = f"{NAME}-{cache.key(clear.fingerprint, text, VIEWS, STOP, made_by)}"
        if (found := cache.load(key)) is None:
            if only_saved:
                continue
            from ..training import last_block  # Keras takes seconds to import

            train = pictures("original").part("train")
            stop = np.zeros(len(train), bool)
            stop[first_by_hash(train.names, STOP)] = True
            shown = seen(config.variant)
            made, facts = last_block.train(
                config, shown[0], train.names, train.labels, stop, shown[1]
            )
            cache.save(key, made.astype(np.float16), run=facts)
            found = cache.load(key)
        yield config, np.array(found[0]), found[1]["run"]


def ship(data: str | Path, root: Path, *, only_saved: bool = False) -> Path | None:
    """Write the predictions of all runs into `root`/ucmerced; None where there is none.

    Raises `PaperError` where the file that is there holds more runs.
    """
    clear = ucmerced.read(data, ucmerced.SIDE)
    made, runs = {}, {}
    for config, probability, facts in predictions(clear, only_saved=only_saved):
        key = f"{config.variant}/{config.loss}/{config.seed}"
        made[key], runs[key] = probability, facts
    path = root / "ucmerced" / f"{NAME}.npz"
    if not made:
        return None
    if path.is_file() and len(read(path.parent).made) > len(made):
        raise PaperError(f"{path} holds more runs than are finished now", "move it aside")
    rest = clear.split != "train"
    mean = np.array([partly_hazy.transmission_of(name) for name in clear.names.tolist()])
    weather = np.stack([mean < 1, mean == 1], axis=1)
    note = {
        "chips": clear.source,
        "pictures": clear.fingerprint,
        "train": int((~rest).sum()) - STOP,
        "stop": STOP,
        "config": configs()[0].to_dict(),
        "made_by": code.stamp(*_COMPUTING),
        "runs": runs,
    }
    files.write_arrays(
        path,
        names=clear.names[rest],
        split=clear.split[rest],
        truth=np.concatenate([clear.labels, weather], axis=1)[rest].astype(np.uint8),
        tags=np.array((*clear.tags, *partly_hazy.WEATHER)),
        note=np.array(json.dumps(note, sort_keys=True)),
        **made,
    )
    return path


# ---- what was shipped ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shipped:
    """What `ship` wrote, of M pictures that no network was trained on.

    names, split `(M,)`, truth `(M, L)`, tags; made: (candidate, seed) -> `(M, L)`; note
    """

    names: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    tags: tuple[str, ...]
    made: dict[tuple[Candidate, int], np.ndarray]
    note: dict

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of which the paper's six candidates are all there."""
        six = [Candidate(v, loss) for v in partly_hazy.VARIANTS for loss in LOSSES]
        return tuple(s for s in SEEDS if all((one, s) in self.made for one in six))

    def pools(self, seed: int) -> tuple[Pool, Pool]:
        """Candidates of a seed on the validation pictures, and on the test pictures; checked."""
        leakage.check_parts(self.names, self.split)
        leakage.check_held_out(self.names, "the pool of candidates")
        found = []
        for part in ("validation", "test"):
            here = self.split == part
            made = {c: p[here].astype(np.float32) for (c, s), p in self.made.items() if s == seed}
            for candidate, p in made.items():
                loss = "" if candidate.variant == BOTH else candidate.loss
                leakage.check_informative(self.truth[here], p, str(candidate), loss)
            found.append(Pool(self.names[here], self.truth[here], made, self.tags))
        return found[0], found[1]


def read(folder: Path | None = None) -> Shipped:
    """The shipped predictions, of `results/ucmerced` in the checkout or of another folder.

    Raises `PaperError` where there are none.
    """
    place = folder or Path(__file__).parents[2] / "results" / "ucmerced"
    arrays, note = files.read_arrays(place / f"{NAME}.npz")
    names, split, truth, tags = (arrays.pop(key) for key in ("names", "split", "truth", "tags"))
    made = {}
    for key, probability in arrays.items():
        variant, loss, seed = key.split("/")
        made[Candidate(variant, loss), int(seed)] = probability
    return Shipped(names, split, truth, tuple(tags.tolist()), made, note)
