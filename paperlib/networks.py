"""VGG with the paper's head, at any input size and width.

The five configurations of Simonyan & Zisserman (2015, table 1; the paper's figure 1) come out of
one table. The paper's network is configuration D (VGG-16): ImageNet mean removed, convolutional
part, batch normalisation, flatten, a dense layer with LeakyReLU, one sigmoid per label.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from . import files, project
from .errors import PaperError

#: Configuration -> kernel sides of the convolutions in each of the five blocks.
CONFIGURATIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
#: Channels of the five blocks at width 1.
CHANNELS: tuple[int, ...] = (64, 128, 256, 512, 512)
#: Name of a network -> its configuration.
NETWORKS: dict[str, str] = {"vgg11": "A", "vgg13": "B", "vgg16c": "C", "vgg16": "D", "vgg19": "E"}

#: Mean of ImageNet's training pictures, blue, green, red (the order Oxford's weights expect).
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
_MOMENTUM = 0.9  # of batch normalisation's moving means: settled within an epoch of few steps
_SCALE = 58.0  # the standard deviation of ImageNet's pixels; only for networks from scratch


@keras.saving.register_keras_serializable("paperlib")
class RemoveImageNetMean(layers.Layer):
    """`(N, H, W, 3)` RGB in 0…255 -> BGR less ImageNet's mean, over `scale`, in float32.

    `scale` 1 is what weights trained by Oxford's recipe expect. A network from scratch learns
    faster from inputs near unit variance, so `build` gives it the pixels' standard deviation.
    """

    def __init__(self, scale: float = 1.0, **options):
        super().__init__(**{**options, "dtype": "float32"})
        self.scale = scale

    def call(self, images):
        images = ops.flip(ops.cast(images, "float32"), axis=-1)
        return (images - ops.convert_to_tensor(IMAGENET_MEAN_BGR, "float32")) / self.scale

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def build(
    network: str = "vgg16",
    *,
    size: int,
    width: float = 1.0,
    outputs: int = 17,
    weights: str | Path = "",
    batch_norm: str = "head",
    dropout: float = 0.0,
    dense: int = 512,
    precision: str = "float32",
    seed: int = 0,
    centred_only: bool | None = None,
) -> keras.Model:
    """The network with the paper's head, initialised by `seed`.

    network    one of `NETWORKS`
    size       height and width of the input in pixels, 32 or more (five halvings)
    width      channels and dense units as a share of the published ones
    outputs    number of labels
    weights    of the convolutional part: `""` (from scratch, He initialisation), `"imagenet"`
               (Keras's own, downloaded), or a file: see `weights_file`
    batch_norm `"head"`, once after the convolutional part as in the paper, or `"all"`, also after
               every convolution, which a network from scratch needs to train in few epochs
    dropout    share of the dense units dropped while training
    dense      units of the dense layer at width 1
    centred_only  the input is ImageNet's mean removed and no more, as ready-made weights need it;
               by default so with `weights`, and scaled to unit variance from scratch
    precision  Keras dtype policy; the input and the output are float32 under any

    Returns a model `(N, size, size, 3)` RGB in 0…255, uint8 or float -> `(N, outputs)` float32.
    Raises `ValueError` for arguments that do not fit together.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: one of {', '.join(NETWORKS)}, not {network!r}")
    if size < 32:
        raise ValueError(f"size: five halvings need 32 pixels or more, not {size}")
    if batch_norm not in ("head", "all"):
        raise ValueError(f"batch_norm: 'head' or 'all', not {batch_norm!r}")
    if weights and (width != 1 or batch_norm != "head"):
        raise ValueError("weights: ready-made weights fit width=1 and batch_norm='head' only")

    if centred_only is None:
        centred_only = bool(weights)
    draw = _Initialisers(seed)
    policy = {"dtype": keras.DTypePolicy(precision)}
    images = keras.Input((size, size, 3), name="images")
    x = RemoveImageNetMean(1.0 if centred_only else _SCALE, name="imagenet_mean")(images)
    x = _convolutional_part(x, NETWORKS[network], width, batch_norm == "all", draw, policy)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="batch_norm", **policy)(x)
    x = layers.Flatten(name="flatten", **policy)(x)
    x = layers.Dense(_share(dense, width), kernel_initializer=draw(), name="dense", **policy)(x)
    x = layers.LeakyReLU(negative_slope=0.1, name="leaky_relu", **policy)(x)
    if dropout:
        x = layers.Dropout(dropout, seed=draw.number(), name="dropout", **policy)(x)
    # float32: half a precision's sigmoid rounds rare labels' probabilities to 0 and 1
    x = layers.Dense(
        outputs,
        activation="sigmoid",
        kernel_initializer=keras.initializers.GlorotUniform(draw.number()),
        name="labels",
        dtype="float32",
    )(x)
    model = keras.Model(images, x, name=network)
    if weights:
        _load_convolutional_part(model, network, weights)
    return model


def original(configuration: str, *, size: int = 224, classes: int = 1000) -> keras.Model:
    """VGG as first published: three dense layers (4096, 4096, classes) and a softmax.

    For counting parameters (Simonyan & Zisserman 2015, table 2: 133 to 144 million).
    """
    draw = _Initialisers(None)
    images = keras.Input((size, size, 3), name="images")
    x = _convolutional_part(images, configuration, 1.0, False, draw, {})
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", kernel_initializer="zeros", name=name)(x)
    x = layers.Dense(classes, activation="softmax", kernel_initializer="zeros", name="classes")(x)
    return keras.Model(images, x, name=f"vgg_{configuration}")


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """The same function with each convolution's batch normalisation folded into its kernel.

    For a model of `build`; twice as fast where `batch_norm="all"`. The result is float32. With
    s = γ/√(σ² + ε): kernel·s, and β − μ·s as the bias.
    """
    names = {layer.name for layer in model.layers}
    x = images = keras.Input(model.input_shape[1:], name="images")
    values: dict[str, list] = {}
    for layer in model.layers[1:]:
        if layer.name.removesuffix("_norm") in names and layer.name.endswith("_norm"):
            continue
        if layer.name.removesuffix("_relu") in names and layer.name.endswith("_relu"):
            continue
        options = {**layer.get_config(), "dtype": "float32"}
        values[layer.name] = layer.get_weights()
        if f"{layer.name}_norm" in names:
            norm = model.get_layer(f"{layer.name}_norm")
            gamma, beta, mean, variance = norm.get_weights()
            by = gamma / np.sqrt(variance + norm.epsilon)
            values[layer.name] = [values[layer.name][0] * by, beta - mean * by]
            options |= {"use_bias": True, "activation": "relu"}
        x = type(layer).from_config(options)(x)
    folded = keras.Model(images, x, name=model.name)
    for name, weights in values.items():
        folded.get_layer(name).set_weights(weights)
    return folded


def weights_file(weights: str | Path) -> Path:
    """The file that `weights` names.

    weights  a path, or `NAME@SHA`: a file's name and the first eight or more digits of its sha256,
             looked for in the folder `PAPER_WEIGHTS`, in the cache's `weights/` and in
             `shared/weights` beside the checkout. A configuration keeps the second form, so that
             it means the same on every machine.

    Raises `PaperError` where there is no such file or its digest is another.
    """
    text = str(weights)
    name, _, digest = text.rpartition("@")
    if not name:
        path = Path(text)
        if not path.is_file():
            raise PaperError(f"weights: {path} is not there", "give a Keras notop .h5 file")
        return path
    folders = [project.cache_folder() / "weights"]
    if given := os.environ.get("PAPER_WEIGHTS"):
        folders.insert(0, Path(given))
    if root := project.checkout():
        folders.append(root.parent / "shared" / "weights")
    for folder in folders:
        path = folder / name
        if path.is_file():
            if not _sha256(path).startswith(digest):
                raise PaperError(f"weights: {path} has another sha256 than {digest}…", "replace it")
            return path
    raise PaperError(
        f"weights: the file {name} (sha256 {digest}…) is not there",
        f"put it in {folders[0]} or name its folder in PAPER_WEIGHTS",
    )


def weights_name(weights: str | Path) -> str:
    """`weights` as a configuration keeps it: a path becomes `NAME@SHA`."""
    text = str(weights)
    if text in ("", "imagenet") or "@" in text:
        return text
    path = weights_file(text).resolve()
    digest = _sha256(path)[:12]
    _BY_NAME[f"{path.name}@{digest}"] = path
    return f"{path.name}@{digest}"


_BY_NAME: dict[str, Path] = {}  # files this process was given by path


@lru_cache
def _sha256(path: Path) -> str:
    return files.sha256(path)


class _Initialisers:
    """A fresh seed for each layer, so that no two layers start alike and all follow one seed."""

    def __init__(self, seed: int | None):
        self.seed, self.drawn = seed, 0

    def number(self) -> int:
        self.drawn += 1
        return (self.seed * 1_000_003 + self.drawn) % 2**31

    def __call__(self):
        # He, Zhang, Ren & Sun (2015): keeps the variance through sixteen rectified layers
        return "zeros" if self.seed is None else keras.initializers.HeNormal(self.number())


def _share(channels: int, width: float) -> int:
    return max(4, round(channels * width))


def _convolutional_part(x, configuration: str, width: float, normalise: bool, draw, policy):
    for b, (kernels, channels) in enumerate(
        zip(CONFIGURATIONS[configuration], CHANNELS, strict=True), start=1
    ):
        for c, kernel in enumerate(kernels, start=1):
            name = f"block{b}_conv{c}"
            x = layers.Conv2D(
                _share(channels, width),
                kernel,
                padding="same",
                activation=None if normalise else "relu",
                use_bias=not normalise,
                kernel_initializer=draw(),
                name=name,
                **policy,
            )(x)
            if normalise:
                x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm", **policy)(x)
                x = layers.ReLU(name=f"{name}_relu", **policy)(x)
        x = layers.MaxPooling2D(2, name=f"block{b}_pool", **policy)(x)
    return x


def _load_convolutional_part(model: keras.Model, network: str, weights: str | Path) -> None:
    maker = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}.get(network)
    if maker is None:
        raise ValueError(f"weights: ready-made ones are for vgg16 and vgg19, not {network}")
    if str(weights) == "imagenet":
        source: str | Path = "imagenet"
    else:
        source = _BY_NAME.get(str(weights)) or weights_file(weights)
    try:
        made = maker(include_top=False, weights=str(source), input_shape=(32, 32, 3))
    except PaperError:
        raise
    except Exception as error:
        cure = (
            "Keras downloads it once; without a network give a file instead"
            if source == "imagenet"
            else "give a notop .h5 in the layout of keras.applications"
        )
        raise PaperError(
            f"weights: {source} cannot be loaded ({_first_line(error)})", cure
        ) from error
    for layer in made.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
