"""Notebook 02: dehazing step by step, images beside maps, the prior measured, figure 2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import COLOURS, STYLE, styled
from .shared import panel

if TYPE_CHECKING:
    from ..dehaze.steps import Steps

#: What stands in the columns of figure 2.
_COLUMNS = ("hazy, $I$", "dark channel", "transmission $t$", "recovered, $J$", "truth, $J$")
_MARK = {"color": COLOURS["published"], "linewidth": 0.8, "linestyle": "--"}


def inline(figure: Figure) -> Any:
    """The figure as a notebook shows it without a file: a PNG whose bytes are equal each time."""
    from IPython.display import Image

    buffer = BytesIO()
    with matplotlib.rc_context(fname=STYLE):
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return Image(data=buffer.getvalue(), format="png")


def _show(axes: Iterable[Axes], images: Iterable[np.ndarray]) -> Any:
    """Colour images as they are, planes as maps from 0 to 1; returns the last map."""
    scale = None
    for axis, image in zip(axes, images, strict=True):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        if image.ndim == 3:
            axis.imshow(image, interpolation="none")
        else:
            scale = axis.imshow(image, vmin=0, vmax=1, cmap="viridis", interpolation="none")
    return scale


def _titles(axes: Iterable[Axes], titles: Iterable[str], size: float) -> None:
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=size)


@styled
def maps(
    panels: Mapping[str, np.ndarray] | Sequence[tuple[str, np.ndarray]], *, columns: int = 4
) -> Figure:
    """Images and maps side by side, each under its title, with one scale for all maps.

    panels  titles and images `(H, W, 3)` uint8 or planes `(H, W)` in 0…1, row by row
    """
    panels = list(panels.items() if isinstance(panels, Mapping) else panels)
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.15 * columns + 0.5, 2.35 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    titles, images = zip(*panels, strict=True)
    scale = _show(axes[: len(panels)], images)
    _titles(axes[: len(panels)], titles, 8.5)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if scale is not None:
        figure.colorbar(scale, ax=axes, shrink=0.8 / rows**0.5, aspect=22)
    return figure


@styled
def prior(histograms: Mapping[str, np.ndarray], *, level: int = 25) -> Figure:
    """The prior (2) as measured: how dark the dark channel is, and its cumulative sum.

    histograms  name -> `(256,)` counts of the dark channel's values (`dark_channel.histogram`)
    level       the grey level below which the fractions are written
    """
    figure = Figure(figsize=(7.2, 2.7))
    left, right = figure.subplots(1, 2)
    colours = [COLOURS[name] for name in ("original", "bad", "good", "highlight")]
    for (name, counts), colour in zip(histograms.items(), colours, strict=False):
        fraction = counts / max(1, counts.sum())
        look = {"color": colour, "fill": True, "alpha": 0.45, "label": name}
        left.stairs(100 * fraction.reshape(64, 4).sum(1), np.arange(0, 257, 4), **look)
        right.plot(np.arange(256), 100 * np.cumsum(fraction), color=colour, linewidth=1.6)
    left.set(
        xlabel="dark channel, grey level", ylabel="pixels in four grey levels, %", xlim=(0, 256)
    )
    left.set_title("Distribution")
    right.axvline(level, label=f"{level} of 255", **_MARK)
    right.legend(loc="lower right")
    right.set(
        xlabel="dark channel, grey level",
        ylabel="pixels at or below, %",
        xlim=(0, 256),
        ylim=(0, 101),
    )
    right.set_title("Cumulative")
    left.legend(loc="upper right")
    return figure


@styled
def before_after(rows: Sequence[Steps], truths: Sequence[np.ndarray] | None = None) -> Figure:
    """Figure 2: before, dark channel, transmission and after, one row per image.

    truths  the haze-free images, where they are known: a last column
    """
    titles = _COLUMNS if truths is not None else _COLUMNS[:-1]
    figure = Figure(figsize=(1.5 * len(titles) + 0.6, 1.53 * len(rows)))
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for i, row in enumerate(rows):
        truth = [] if truths is None else [truths[i]]
        scale = _show(axes[i], [row.image, row.dark, np.clip(row.fine, 0, 1), row.clear, *truth])
    _titles(axes[0], titles, 9)
    figure.colorbar(scale, ax=axes.ravel().tolist(), shrink=0.5, aspect=30, pad=0.01)
    return figure


@styled
def sweep(name: str, curves: Mapping[str, Mapping[float, float]], *, chosen: float) -> Figure:
    """PSNR against one parameter, one line per ground.

    name    the parameter, for the axis
    curves  ground -> value -> PSNR in dB (`dark_channel.sweep`)
    chosen  the package's value (He, Sun & Tang's), marked
    """
    figure, axis = panel(5.2, 2.7)
    for ground, curve in curves.items():
        axis.plot(list(curve), list(curve.values()), marker="o", markersize=3, label=ground)
    axis.axvline(chosen, **_MARK)
    axis.set(xlabel=name, ylabel="PSNR of the result, dB")
    axis.grid(axis="y")
    figure.legend(loc="outside right center")
    return figure


@styled
def failures(
    rows: Mapping[str, Steps], truths: Mapping[str, np.ndarray], level: Mapping[str, float]
) -> Figure:
    """Where the prior fails: truth, hazy, transmission found and the recovered image, by row.

    level  the true, constant t of each row
    """
    figure = Figure(figsize=(6.6, 1.42 * len(rows) + 0.2))
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for row, (name, found) in zip(axes, rows.items(), strict=True):
        scale = _show(row, [truths[name], found.image, np.clip(found.fine, 0, 1), found.clear])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        row[2].set_xlabel(f"true {level[name]:.2f}, found {found.fine.mean():.2f}", fontsize=7.5)
    _titles(axes[0], ("truth", "with haze", "t found", "recovered"), 8.5)
    figure.colorbar(scale, ax=axes.ravel().tolist(), shrink=0.5, aspect=30, pad=0.01)
    return figure
