"""Random transforms while training, and the eight symmetries at test time.

Paper, section on data preparation: resize, elastic, rotation, mirror, transpose, with random
parameters. A satellite chip has no up and no left, so mirror and transpose together are the eight
symmetries of the square, which move pixels without touching their values.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

#: Name in a configuration -> what is done to each training chip, each time it is shown.
AUGMENTATIONS: dict[str, str] = {
    "none": "nothing",
    "symmetries": "one of the eight symmetries of the square",
    "paper": "a symmetry, then rotation, resize and elastic with random parameters",
}
VIEWS = 8


@keras.saving.register_keras_serializable("paperlib")
class RandomSymmetry(layers.Layer):
    """`(N, S, S, C)` -> the same, each chip under one of the eight symmetries at random.

    Only while training. The draw is a function of the layer's seed state, which `experiment` sets
    from (seed, epoch).
    """

    def __init__(self, seed: int = 0, **options):
        super().__init__(**options)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        shape = (ops.shape(images)[0], 1, 1, 1)
        drawn = keras.random.randint(shape, 0, VIEWS, seed=self.generator)
        images = ops.where(drawn % 2 == 1, ops.flip(images, axis=1), images)
        images = ops.where(drawn // 2 % 2 == 1, ops.flip(images, axis=2), images)
        return ops.where(drawn // 4 == 1, ops.transpose(images, (0, 2, 1, 3)), images)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def random_transforms(name: str, seed: int = 0) -> list[layers.Layer]:
    """The Keras layers of one augmentation, in order; they act only while training.

    name  one of `AUGMENTATIONS`; images are `(N, S, S, 3)` in 0…255
    """
    if name not in AUGMENTATIONS:
        raise ValueError(f"augment: one of {', '.join(AUGMENTATIONS)}, not {name!r}")
    if name == "none":
        return []
    chain: list[layers.Layer] = [RandomSymmetry(seed, name="random_symmetry", dtype="float32")]
    if name == "paper":
        options = {"fill_mode": "reflect", "data_format": "channels_last", "dtype": "float32"}
        chain += [
            # ±22.5°: with the quarter turns of the symmetries this covers the half circle evenly
            layers.RandomRotation(1 / 16, seed=seed + 1, name="random_rotation", **options),
            layers.RandomZoom((-0.1, 0.1), seed=seed + 2, name="random_resize", **options),
            # `factor` is the chance that a chip is moved at all, `scale` how far
            layers.RandomElasticTransform(
                factor=(1.0, 1.0),
                scale=(0.2, 1.0),
                value_range=(0, 255),
                fill_mode="reflect",
                data_format="channels_last",
                seed=seed + 3,
                name="random_elastic",
                dtype="float32",
            ),
        ]
    return chain


def symmetries(images: np.ndarray, views: int = VIEWS) -> np.ndarray:
    """`(N, S, S, C)` -> `(V, N, S, S, C)`: every chip under the first V symmetries of the square.

    View 0 is the chip itself. View v turns by v mod 4 quarters, from view 4 on after a mirror.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images: expected square (N, S, S, C), got {images.shape}")
    both = images, images[:, :, ::-1]
    return np.stack([np.rot90(both[v // 4], v % 4, axes=(1, 2)) for v in range(views)])


def predict(model, images: np.ndarray, *, views: int = 1, batch: int = 256) -> np.ndarray:
    """Probabilities `(N, L)` float32 of `model`, averaged over the first `views` symmetries.

    images  `(N, S, S, 3)` uint8 or float in 0…255
    views   1 (the chip as it is) to 8
    """
    if not 1 <= views <= VIEWS:
        raise ValueError(f"views: 1 to {VIEWS}, not {views}")
    if views == 1:
        return np.asarray(model.predict(images, batch_size=batch, verbose=0), np.float32)
    total = 0.0
    for start in range(0, len(images), batch):  # by batches: eight copies of all chips are large
        seen = symmetries(images[start : start + batch], views)
        flat = np.ascontiguousarray(seen).reshape(-1, *images.shape[1:])
        part = np.asarray(model.predict(flat, batch_size=batch, verbose=0), np.float32)
        mean = part.reshape(views, -1, part.shape[-1]).mean(0, dtype=np.float64)
        total = mean if start == 0 else np.concatenate([total, mean])
    return np.asarray(total, np.float32)


def each_transform(image: np.ndarray, draws: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    """What each random transform makes of one chip, and all of them in a row.

    image  `(S, S, 3)` uint8;  draws  how many times each is drawn
    Returns name -> `(draws, S, S, 3)` uint8. Mirror and transpose are two of the symmetries, which
    training draws together; they are not random on their own, so each is given once.
    """
    copies = np.repeat(image[None], draws, axis=0)
    layers_by_name = {layer.name: layer for layer in random_transforms("paper", seed)}
    made = {
        "mirror": image[None, :, ::-1],
        "transpose": image[None].transpose(0, 2, 1, 3),
        **{
            name: _drawn([layers_by_name[f"random_{name}"]], copies)
            for name in ("rotation", "resize", "elastic")
        },
    }
    made["all"] = _drawn(list(layers_by_name.values()), copies)
    return made


def _drawn(chain: list[layers.Layer], images: np.ndarray) -> np.ndarray:
    x = ops.convert_to_tensor(images.astype(np.float32))
    for layer in chain:
        x = layer(x, training=True)
    return np.clip(np.rint(ops.convert_to_numpy(x)), 0, 255).astype(np.uint8)
