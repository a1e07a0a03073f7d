"""The exercises of notebook 01: a convolution by hand, its output, parameters and field of view."""

from __future__ import annotations

import math

import numpy as np

from .checking import Book, Exercise, Function, Verdict, code

BOOK = Book("01")


def _convolution(flaws: frozenset[str], image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    kernel = kernel[::-1, ::-1] if "flipped" in flaws else kernel
    kernel = kernel.T if "transposed" in flaws else kernel
    kernel = np.full((3, 3), 1.0) if "unweighted" in flaws else kernel
    height, width = image.shape
    result = np.zeros((height - 2, width - 2))
    for i in range(3):
        for j in range(3):
            result += kernel[i, j] * image[i : i + height - 2, j : j + width - 2]
    if "mean" in flaws:
        return result / 9
    return np.maximum(result, 0) if "rectified" in flaws else result


def _output(flaws: frozenset[str], size: int, kernel: int, stride: int, padding: int) -> float:
    padding = {True: 0, False: padding}["no padding" in flaws]
    both = padding if "padding once" in flaws else 2 * padding
    room = size + both - (0 if "no kernel" in flaws else kernel)
    steps = room if "no stride" in flaws else room / stride
    steps = (
        math.ceil(steps) if "up" in flaws else steps if "fraction" in flaws else math.floor(steps)
    )
    return steps if "no first" in flaws else steps + 1


def _parameters(flaws: frozenset[str], kernel: int, channels_in: int, channels_out: int) -> int:
    area = kernel if "one side" in flaws else kernel**2
    weights = area * channels_out * (1 if "one channel" in flaws else channels_in)
    if "added" in flaws:
        weights = area * (channels_in + channels_out)
    if "no bias" in flaws:
        return weights
    return weights + (channels_in if "bias in" in flaws else channels_out)


def _field(flaws: frozenset[str], kernels: list[int], strides: list[int]) -> int:
    field, jump = 0 if "no pixel" in flaws else 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        jump = jump * stride if "own stride" in flaws else jump
        field += (kernel if "whole kernel" in flaws else kernel - 1) * jump
        if not {"own stride", "no strides"} & flaws:
            jump = jump + stride - 1 if "strides added" in flaws else jump * stride
    return math.prod(kernels) if "product" in flaws else field


def _pictures() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.uniform(0, 1, shape), rng.normal(0, 1, (3, 3))) for shape in ((9, 12), (6, 5))]


BOOK.add(
    Exercise(
        "convolution",
        _convolution,
        _pictures,
        {
            "flipped": "the kernel is turned by 180°, as in mathematics; networks lay it on as it "
            "is",
            "transposed": "rows and columns of the kernel have changed places",
            "unweighted": "the nine pixels are added up as they are; each has its weight",
            "mean": "this is the mean of the nine products; they are added up",
            "rectified": "negative sums are set to 0: that is the rectifier, the layer behind it",
        },
        "Lay the kernel on nine pixels, multiply each by its weight, add up; then one pixel "
        "further. ",
        code("""
        def my_convolution(image, kernel):
            result = np.zeros((image.shape[0] - 2, image.shape[1] - 2))
            for y in range(result.shape[0]):
                for x in range(result.shape[1]):
                    result[y, x] = (image[y : y + 3, x : x + 3] * kernel).sum()
            return result
        """),
        "the same nine weights at every place; without padding a pixel is lost on each side",
    )
)
BOOK.add(
    Exercise(
        "output size",
        _output,
        lambda: [(224, 3, 1, 1), (224, 11, 4, 2), (32, 5, 2, 0), (7, 7, 1, 0), (28, 2, 2, 0)],
        {
            "no padding": "the padding is left out: it makes the picture larger",
            "padding once": "the padding lies on both sides",
            "no kernel": "the kernel must fit in: it takes up room itself",
            "no stride": "the stride is left out: it says how many pixels a step has",
            "up": "a step that does not fit in wholly is not taken: round down",
            "fraction": "there is no part of a step: round down",
            "no first": "the first place, before any step, counts as well",
        },
        "Count the places: the first one, and as many steps as there is room for",
        code("""
        def my_output_size(size, kernel, stride, padding):
            return (size + 2 * padding - kernel) // stride + 1
        """),
        "VGG's 3 × 3 with padding 1 keeps the size; AlexNet's 11 × 11 with stride 4 makes 55 of "
        "224",
    )
)
BOOK.add(
    Exercise(
        "parameters",
        _parameters,
        lambda: [(3, 3, 64), (7, 16, 8), (1, 256, 64), (11, 3, 96)],
        {
            "no bias": "the biases are missing, one for each channel that comes out",
            "bias in": "there is one bias for each channel that comes out, not for each that goes "
            "in",
            "one side": "a kernel is a square: its weights fill an area",
            "one channel": "each kernel reads all channels that go in, with weights of its own",
            "added": "every channel that comes out reads every one that goes in",
        },
        "One output channel first: how many numbers does it read at one place? Then all of them",
        code("""
        def my_parameters(kernel, channels_in, channels_out):
            return kernel * kernel * channels_in * channels_out + channels_out
        """),
        "the size of the picture does not come in: the same weights at every place",
    )
)
BOOK.add(
    Exercise(
        "receptive field",
        _field,
        lambda: [([3, 3, 3], [1, 1, 1]), ([7], [2]), ([3, 3, 2, 3], [1, 1, 2, 1]),
                 ([11, 3, 5, 3, 3], [4, 2, 1, 2, 1])],
        {
            "no strides": "behind a layer with stride 2 one step is two pixels of the picture",
            "own stride": "a layer's own stride counts for the layers behind it only",
            "strides added": "strides multiply: two pixels of two pixels each are four",
            "whole kernel": "a kernel of k adds k − 1 pixels: the middle one was seen already",
            "no pixel": "begin with the one pixel that is looked from",
            "product": "fields do not multiply; each layer adds a rim",
        },
        "Go through the layers from the picture on: what does each add on the sides, in pixels of "
        "the "
        "picture?",
        code("""
        def my_receptive_field(kernels, strides):
            field, step = 1, 1
            for kernel, stride in zip(kernels, strides):
                field += (kernel - 1) * step
                step *= stride
            return field
        """),
        "three 3 × 3 see 7 pixels, as one 7 × 7 does",
    )
)  # fmt: skip


def check_convolution(answer: Function) -> Verdict:
    """`answer(image, kernel)`: image `(H, W)`, kernel `(3, 3)` -> `(H − 2, W − 2)`, no padding."""
    return BOOK.check("convolution", answer)


def check_output_size(answer: Function) -> Verdict:
    """`answer(size, kernel, stride, padding)` gives the side of the map that comes out."""
    return BOOK.check("output size", answer)


def check_parameters(answer: Function) -> Verdict:
    """`answer(kernel, channels_in, channels_out)` gives the number of a layer's parameters."""
    return BOOK.check("parameters", answer)


def check_receptive_field(answer: Function) -> Verdict:
    """`answer(kernels, strides)`, lists from the picture on, gives the pixels seen across."""
    return BOOK.check("receptive field", answer)
