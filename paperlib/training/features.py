"""Fixed features of a network trained on something else, computed once and saved.

What a convolutional part sees in a chip, averaged over the chip: one number per channel. Where a
network has its dense layers they would give 4,096 numbers (the article's choice); the weights that
are handed out without them give the 512 channels of VGG-16's last block.
"""

from __future__ import annotations

import json

import keras
import numpy as np
from keras import layers
from tqdm.auto import tqdm

from ..chips import Chips
from ..networks import build
from ..utils import backend, cache, code
from . import determinism

BLOCKS = ("block3_pool", "block4_pool", "block5_pool")
_BLOCK = 256  # chips per kept block: what a killed run loses at most


def extractor(
    network: str,
    size: int,
    weights: str,
    *,
    at: tuple[str, ...] = BLOCKS,
    seed: int = 0,
    precision: str = "float32",
) -> keras.Model:
    """`(N, size, size, 3)` in 0…255 -> `(N, C)`: the mean over the pixels of each channel of `at`.

    network, weights, seed  as `networks.build`
    at                      layers of the convolutional part; their channels stand side by side
    """
    model = build.build(
        network, size=size, weights=weights, dense=8, outputs=1, seed=seed, precision=precision
    )
    seen = [model.get_layer(name).output for name in at]
    pooled = [
        layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
        for name, x in zip(at, seen, strict=True)
    ]
    joined = layers.Concatenate(name="features")(pooled) if len(pooled) > 1 else pooled[0]
    return keras.Model(model.input, joined, name=f"{network}_features")


def features(
    chips: Chips,
    *,
    network: str = "vgg16",
    weights: str = "",
    at: tuple[str, ...] = BLOCKS,
    seed: int = 0,
    batch: int = 32,
    precision: str = "float32",
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Layer name -> `(N, C)` float32, computed once for these chips and this network, then kept.

    chips    any set at any size of 32 px or more; the network is built at that size
    weights  as `networks.build`; `""` gives the features of a network that never learnt anything,
             drawn from `seed`: what is left of the gain is the pretraining's
    batch    chips at once
    precision  dtype policy of the network: half precision is three times as fast on some processors

    The key is the chips' pixels and names, the network, its weights' digest, the layers, the code
    and the backend; a run that is killed goes on after its last 256 chips.
    `PaperError` where the weights are not there.
    """
    weights = build.weights_name(weights)
    fingerprint = chips.fingerprint
    made_by = code.total(code.reached(["paperlib.networks.build"], alone=[__name__]))
    switches = sorted(backend.settings().items())
    parts = (fingerprint, network, weights, json.dumps(at), seed, made_by, switches, precision)
    key = f"features-{cache.key(*parts)}"
    found = cache.load(key)
    if found is None:
        determinism.prepare()
        model = extractor(network, chips.size, weights, at=at, seed=seed, precision=precision)

        def block(start: int) -> np.ndarray:
            part = chips.images[start : start + _BLOCK]
            out = [
                np.asarray(model.predict_on_batch(part[i : i + batch]), np.float32)
                for i in range(0, len(part), batch)
            ]
            return np.concatenate(out)

        rows = []
        with tqdm(total=len(chips), desc="features", unit="chip", disable=not progress) as bar:
            for start in range(0, len(chips), _BLOCK):
                rows.append(cache.block(key, start, lambda start=start: block(start)))
                bar.update(len(rows[-1]))
        values = np.concatenate(rows)
        widths = [int(model.get_layer(f"{name}_mean").output.shape[-1]) for name in at]
        cache.save(key, values, channels=widths)
        cache.drop_blocks(key)
    else:
        values, note = np.asarray(found[0]), found[1]
        widths = note["channels"]
    ends = np.cumsum([0, *widths])
    return {n: np.array(values[:, a:b]) for n, a, b in zip(at, ends, ends[1:], strict=False)}
