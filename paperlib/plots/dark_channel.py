"""Figures of haze and its removal: maps beside pictures, the prior as a histogram, figure 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import COLOURS, STYLE, styled

if TYPE_CHECKING:
    from ..dehaze.steps import Steps

#: Column -> where its pictures come from and how they are shown.
_COLUMNS = ("hazy, $I$", "dark channel", "transmission $t$", "recovered, $J$", "truth, $J$")


def inline(figure: Figure) -> Any:
    """The figure as a notebook shows it without a file: a PNG whose bytes are equal each time."""
    from IPython.display import Image

    buffer = BytesIO()
    with matplotlib.rc_context(fname=STYLE):
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return Image(data=buffer.getvalue(), format="png")


def _show(axis: Axes, picture: np.ndarray) -> Any:
    """A colour picture as it is, a plane as a map from 0 to 1."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    if picture.ndim == 3:
        return axis.imshow(picture, interpolation="none")
    return axis.imshow(picture, vmin=0, vmax=1, cmap="viridis", interpolation="none")


@styled
def maps(
    panels: Mapping[str, np.ndarray] | Sequence[tuple[str, np.ndarray]], *, columns: int = 4
) -> Figure:
    """Pictures and maps side by side, each under its title, with one scale for all maps.

    panels  titles and pictures `(H, W, 3)` uint8 or planes `(H, W)` in 0…1, row by row
    """
    panels = list(panels.items() if isinstance(panels, Mapping) else panels)
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.15 * columns + 0.5, 2.35 * rows), squeeze=False
    )
    scale = None
    for axis, (title, panel) in zip(axes.flat, panels, strict=False):
        shown = _show(axis, panel)
        axis.set_title(title, fontsize=8.5)
        if panel.ndim == 2:
            scale = shown
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    if scale is not None:
        figure.colorbar(scale, ax=axes.ravel().tolist(), shrink=0.8 / rows**0.5, aspect=22)
    return figure


@styled
def prior(histograms: Mapping[str, np.ndarray], *, level: int = 25) -> Figure:
    """The prior (2) as measured: how dark the dark channel is, and its running share.

    histograms  name -> `(256,)` counts of the dark channel's values (`dark_channel.histogram`)
    level       the grey level below which the shares are written
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.7))
    colours = [COLOURS["original"], COLOURS["bad"], COLOURS["good"], COLOURS["highlight"]]
    for (name, counts), colour in zip(histograms.items(), colours, strict=False):
        share = counts / max(1, counts.sum())
        left.stairs(
            share.reshape(64, 4).sum(1),
            np.arange(0, 257, 4),
            color=colour,
            fill=True,
            alpha=0.45,
            label=name,
        )
        running = np.cumsum(share)
        right.plot(np.arange(256), 100 * running, color=colour, linewidth=1.6)
    left.set(xlabel="dark channel, grey level", ylabel="share of pixels", xlim=(0, 256))
    left.set_title("Distribution")
    right.axvline(level, color=COLOURS["published"], linewidth=0.8, linestyle="--")
    right.set(xlabel="grey level", ylabel="pixels at or below, %", xlim=(0, 256), ylim=(0, 101))
    right.set_title("Running share")
    left.legend(loc="upper right")
    return figure


@styled
def before_after(rows: Sequence[Steps], truths: Sequence[np.ndarray] | None = None) -> Figure:
    """Figure 2: before, dark channel, transmission and after, one row per picture.

    truths  the haze-free pictures, where they are known: a last column
    """
    titles = _COLUMNS if truths is not None else _COLUMNS[:-1]
    figure, axes = plt.subplots(
        len(rows), len(titles), figsize=(1.5 * len(titles) + 0.6, 1.53 * len(rows)), squeeze=False
    )
    for i, row in enumerate(rows):
        panels = [row.image, row.dark, np.clip(row.fine, 0, 1), row.clear]
        if truths is not None:
            panels.append(truths[i])
        for axis, panel in zip(axes[i], panels, strict=True):
            shown = _show(axis, panel)
            if panel.ndim == 2:
                scale = shown
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    figure.colorbar(scale, ax=axes.ravel().tolist(), shrink=0.5, aspect=30, pad=0.01)
    return figure


@styled
def sweep(name: str, curves: Mapping[str, Mapping[float, float]], *, chosen: float) -> Figure:
    """PSNR against one parameter, one line per ground.

    name    the parameter, for the axis
    curves  ground -> value -> PSNR in dB (`dark_channel.sweep`)
    chosen  the package's value (He, Sun & Tang's), marked
    """
    figure, axis = plt.subplots(figsize=(5.2, 2.7))
    for ground, curve in curves.items():
        axis.plot(list(curve), list(curve.values()), marker="o", markersize=3, label=ground)
    axis.axvline(chosen, color=COLOURS["published"], linewidth=0.8, linestyle="--")
    axis.set(xlabel=name, ylabel="PSNR of the result, dB")
    axis.grid(axis="y")
    figure.legend(loc="outside right center")
    return figure


@styled
def failures(
    rows: Mapping[str, Steps], truths: Mapping[str, np.ndarray], level: Mapping[str, float]
) -> Figure:
    """Where the prior fails: truth, hazy, transmission found and the recovered picture, by row.

    level  the true, constant t of each row
    """
    figure, axes = plt.subplots(len(rows), 4, figsize=(6.6, 1.42 * len(rows) + 0.2), squeeze=False)
    for row, (name, found) in zip(axes, rows.items(), strict=True):
        panels = (truths[name], found.image, np.clip(found.fine, 0, 1), found.clear)
        for axis, panel in zip(row, panels, strict=True):
            shown = _show(axis, panel)
            if panel.ndim == 2:
                scale = shown
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        row[2].set_xlabel(f"true {level[name]:.2f}, found {found.fine.mean():.2f}", fontsize=7.5)
    titles = ("truth", "with haze", "t found", "recovered")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8.5)
    figure.colorbar(scale, ax=axes.ravel().tolist(), shrink=0.5, aspect=30, pad=0.01)
    return figure
