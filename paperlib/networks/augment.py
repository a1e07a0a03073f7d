"""Random transforms while training, and the same family at test time.

Paper, section 3.1 and figure 3: elastic, rotation, mirror and transpose with random parameters
while training; at test time elastic, original shape, rotation and mirror. (Its change of size is no
random transform: it brings a chip to the network's input. Random zoom is this package's.) A
satellite chip has no up and no left, so mirror and transpose together are the eight symmetries of
the square, which move pixels without touching their values. Rotation and zoom are Keras' own
layers; symmetries and elastic are not, for the reasons their classes give.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from .views import VIEWS, symmetries

#: Name in a configuration -> what is done to each training chip, each time it is shown.
AUGMENTATIONS: dict[str, str] = {
    "none": "nothing",
    "symmetries": "one of the eight symmetries of the square",
    "paper": "a symmetry, then rotation, zoom (which the paper does not name) and elastic",
    "figure-3": "a symmetry, then rotation and elastic with random parameters: figure 3's",
}
#: Smoothing of the elastic field, a Gaussian's standard deviation as a fraction of the chip's side:
#: Simard's 4 of 29 pixels, which is 4.4 of 32.
SMOOTHING = 4 / 29
#: Amplitude of the elastic field, root mean square of the displacement along an axis, as a
#: fraction of the side. Drawn from here to there: 0.3 to 1.3 pixels of 32. (Simard's factor 34:
#: 1.4 of 29.)
AMPLITUDE = (0.01, 0.04)
#: Rotation either way, as a fraction of a full turn: with the quarter turns of the symmetries this
#: reaches every angle, evenly.
TURN = 1 / 16
#: Zoom either way, as a fraction of the side.
RESIZE = 0.1


@keras.saving.register_keras_serializable("paperlib")
class RandomSymmetry(layers.Layer):
    """`(N, S, S, C)` -> the same, each chip under one of the eight symmetries at random.

    Only while training. The draw is a function of the layer's seed state, which `training` sets
    from (seed, epoch).

    Not Keras' `RandomFlip`: it mirrors but does not transpose, so it reaches four of the eight.
    Here one draw picks each of the eight equally often, and no value is changed.
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


@keras.saving.register_keras_serializable("paperlib")
class RandomElastic(layers.Layer):
    """`(N, S, S, C)` -> the same in the layer's float type, each chip under its own elastic field.

    Only while training. Simard, Steinkraus & Platt 2003: random displacements, smoothed by a
    Gaussian; the two axes are drawn independently.

    amplitude  the range that each chip's amplitude is drawn from evenly: root mean square of the
               displacement along an axis, as a fraction of S
    smoothing  standard deviation of the Gaussian, as a fraction of S

    Not Keras' `RandomElasticTransform`: as of 3.15 both axes come from one seed, so every point
    moves along the diagonal; its smoothing shrinks with the amplitude, at 32 pixels mostly to none
    at all, and differs between the backends; and where the batch size is not known beforehand, on
    TensorFlow, every chip of a batch becomes the first.
    """

    def __init__(
        self,
        amplitude: tuple[float, float] = AMPLITUDE,
        smoothing: float = SMOOTHING,
        seed: int = 0,
        **options,
    ):
        super().__init__(**options)
        self.amplitude, self.smoothing, self.seed = tuple(amplitude), smoothing, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        count, size = ops.shape(images)[0], images.shape[1]
        drawn = (count, 2, *_noise_shape(size, self.smoothing))
        noise = keras.random.normal(drawn, dtype="float32", seed=self.generator)
        amplitude = keras.random.uniform(
            (count, 1, 1, 1), *self.amplitude, dtype="float32", seed=self.generator
        )
        return displaced(images, smooth(noise, size, self.smoothing) * amplitude * size)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        kept = {"amplitude": self.amplitude, "smoothing": self.smoothing, "seed": self.seed}
        return {**super().get_config(), **kept}


def _noise_shape(size: int, smoothing: float) -> tuple[int, int]:
    """Height and width of the noise for a field of `size`: the Gaussian's reach on every side."""
    return (size + 2 * math.ceil(3 * smoothing * size),) * 2


def smooth(noise, size: int, smoothing: float = SMOOTHING):
    """White noise of variance 1 -> a field blurred by a Gaussian, of variance 1 again.

    noise      `(N, 2, M, M)` float32, M as `_noise_shape` says: larger than the field by the reach
               of the Gaussian, cut at three standard deviations, so a border is as any other place
    size       S, the field's side in pixels
    smoothing  the Gaussian's standard deviation as a fraction of S
    Returns `(N, S, S, 2)`, the last axis down and to the right.

    The blur is separable: one matrix, whose rows are the Gaussian moved along by a pixel each, from
    the left and from the right. Rows of length 1 keep the variance.
    """
    longer = noise.shape[-1]
    apart = np.arange(longer)[None] - np.arange(size)[:, None] - (longer - size) // 2
    rows = np.exp(-0.5 * (apart / (smoothing * size)) ** 2) * (abs(apart) <= (longer - size) // 2)
    blur = ops.convert_to_tensor((rows / np.linalg.norm(rows[0])).astype(np.float32))
    field = ops.matmul(ops.matmul(blur, noise), ops.transpose(blur))
    return ops.transpose(field, (0, 2, 3, 1))


def displaced(images, by):
    """Each pixel takes the value that the chip has `by` away: bilinear, mirrored at the border.

    images  `(N, S, S, C)` float;  by  `(N, S, S, 2)` float32, pixels down and to the right
    """
    # `ops.image.map_coordinates` takes one image at a time, and TensorFlow's asks for N beforehand.
    size, channels = images.shape[1], images.shape[-1]
    here = np.stack(np.indices((size, size)), -1).astype(np.float32)
    at = ops.convert_to_tensor(here) + by
    at = ops.clip((size - 1) - ops.abs((size - 1) - ops.abs(at)), 0, size - 1)
    corner = ops.minimum(ops.floor(at), size - 2)
    share = ops.cast(at - corner, images.dtype)
    down, right = share[..., :1], share[..., 1:]
    corner = ops.cast(corner, "int32")
    first = ops.reshape(ops.arange(ops.shape(images)[0], dtype="int32"), (-1, 1, 1)) * size**2
    place = first + corner[..., 0] * size + corner[..., 1]
    pixels = ops.reshape(images, (-1, channels))
    above, below = (
        ops.take(pixels, place + row, axis=0) * (1 - right)
        + ops.take(pixels, place + row + 1, axis=0) * right
        for row in (0, size)
    )
    return above * (1 - down) + below * down


def random_transforms(name: str, seed: int = 0) -> list[layers.Layer]:
    """The Keras layers of one augmentation, in order; they act only while training.

    name  one of `AUGMENTATIONS`; images are `(N, S, S, 3)` in 0…255
    """
    if name not in AUGMENTATIONS:
        raise ValueError(f"augment: one of {', '.join(AUGMENTATIONS)}, not {name!r}")
    if name == "none":
        return []
    chain: list[layers.Layer] = [RandomSymmetry(seed, name="random_symmetry", dtype="float32")]
    if name != "symmetries":
        options = {"fill_mode": "reflect", "data_format": "channels_last", "dtype": "float32"}
        moved = [
            layers.RandomRotation(TURN, seed=seed + 1, name="random_rotation", **options),
            layers.RandomZoom((-RESIZE, RESIZE), seed=seed + 2, name="random_resize", **options),
        ]
        if name == "figure-3":
            del moved[1]
        for layer in moved:
            # Keras keeps both from being compiled because of TensorFlow's kernel, on all backends:
            # JAX would run the whole network step by step.
            layer.supports_jit = keras.backend.backend() == "jax"
        chain += [*moved, RandomElastic(seed=seed + 3, name="random_elastic", dtype="float32")]
    return chain


def transformed(chain: list[layers.Layer], images: np.ndarray) -> np.ndarray:
    """`(N, S, S, 3)` uint8 -> the same under the transforms of `chain`, as while training."""
    x = ops.convert_to_tensor(images.astype(np.float32))
    for layer in chain:
        x = layer(x, training=True)
    return np.clip(np.rint(ops.convert_to_numpy(x)), 0, 255).astype(np.uint8)


def transformed_copies(
    images: np.ndarray, name: str, count: int, seed: int = 0, batch: int = 512
) -> np.ndarray:
    """`(N, S, S, 3)` uint8 -> `(count, N, S, S, 3)` uint8: each chip under `count` random draws.

    name  one of `AUGMENTATIONS`;  seed  of all draws, which depend on it and on the chip's place
    """
    chain = random_transforms(name, seed)
    made = np.empty((count, *images.shape), np.uint8)
    for copy in made:
        for start in range(0, len(images), batch):
            copy[start : start + batch] = transformed(chain, images[start : start + batch])
    return made


def elastic_copy(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`(N, S, S, C)` in 0…255 -> the same as float32, each chip under its own elastic field.

    The fields come chip by chip from NumPy's `random`: the same ones on every backend, whether the
    chips are given together or part after part.
    """
    size = images.shape[1]
    shape = 2, *_noise_shape(size, SMOOTHING)
    drawn = [
        (random.standard_normal(shape, np.float32), random.uniform(*AMPLITUDE)) for _ in images
    ]
    noise, amplitude = (np.array(part, np.float32) for part in zip(*drawn, strict=True))
    by = smooth(ops.convert_to_tensor(noise), size) * (amplitude * size)[:, None, None, None]
    chips = ops.convert_to_tensor(images.astype(np.float32))
    return ops.convert_to_numpy(displaced(chips, by))


def predict(
    model, images: np.ndarray, *, views: int = 1, elastic: int = 0, seed: int = 0, batch: int = 256
) -> np.ndarray:
    """Probabilities `(N, L)` float32 of `model`, averaged over symmetries and elastic copies.

    images   `(N, S, S, 3)` uint8 or float in 0…255
    views    the first V of the eight symmetries, 1 (the chip as it is) to 8
    elastic  how many elastic copies of each chip count besides, each as much as a view
    seed     of their fields, which depend on it, the copy and the chip's place alone
    """
    if elastic < 0:
        raise ValueError(f"elastic: 0 or more copies, not {elastic}")
    if views == 1 and not elastic:
        return np.asarray(model.predict(images, batch_size=batch, verbose=0), np.float32)
    fields = [np.random.default_rng([seed, copy]) for copy in range(elastic)]
    means = []
    for start in range(0, len(images), batch):  # by batches: eight copies of all chips are large
        chips = images[start : start + batch]
        seen = symmetries(chips, views)
        if fields:
            seen = np.concatenate([seen, [elastic_copy(chips, random) for random in fields]])
        flat = np.ascontiguousarray(seen).reshape(-1, *images.shape[1:])
        part = np.asarray(model.predict(flat, batch_size=batch, verbose=0), np.float32)
        means.append(part.reshape(len(seen), len(chips), -1).mean(0, dtype=np.float64))
    return np.concatenate(means).astype(np.float32)
