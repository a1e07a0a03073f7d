"""`figNN.csv`: the data of a figure, read from what was drawn, are enough to draw it again."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from paperlib.plots import _drawn

#: What a figure may take of the repository: curves of some thousand points.
LARGEST = 256_000


def planted() -> Figure:
    """One of everything that the figures are made of, on panels whose places are fixed."""
    figure = Figure(figsize=(7, 5), dpi=80)
    marks, areas, cells, bars = figure.subplots(2, 2).flat
    chance = np.random.default_rng(0)
    x, y = np.arange(5.0), chance.uniform(0.2, 0.8, 5)
    y[3] = np.nan
    look = {"fmt": "s", "color": "#0072B2", "ms": 5, "lw": 1.2, "label": "ours"}
    marks.errorbar(x, y, yerr=[np.full(5, 0.1), np.full(5, 0.05)], **look)
    marks.errorbar(y, x / 5, xerr=0.07, fmt="^--", color="#D55E00", mfc="white", label="theirs")
    marks.plot(x, x / 7, "-", color="#009E73", lw=2, label="line")
    marks.scatter(x, 1 - x / 8, s=[9, 16, 25, 36, 49], c=["#E69F00"] * 5, label="dots")
    marks.hlines([0.3, 0.6], [0, 1], [2, 4], color="#222222", lw=3)
    marks.set(xlabel="place", ylabel="score", title="Marks")
    areas.fill_between(x, x, x + 1, color="#56B4E9", label="between")
    areas.axhspan(4.5, 5, color="#CCCCCC")
    areas.axvline(2.5, color="#CC79A7", ls=":")
    areas.text(1, 4, "a word", fontsize=11, color="#D55E00")
    cells.pcolormesh(np.arange(4), np.arange(3), chance.random((2, 3)), cmap="viridis")
    bars.barh([0, 1, 2], [3, 1, 2], color=["#0072B2", "#E69F00", "#009E73"], height=0.7)
    bars.set(yticks=[0, 1, 2], yticklabels=["a", "b", "c"], xscale="symlog")
    return figure


def again(table: pd.DataFrame) -> Figure:
    """Draw a table of `_drawn` anew, knowing nothing else of the figure."""
    figure = Figure(figsize=(7, 5), dpi=80)
    axes = dict(enumerate(figure.subplots(2, 2).flat, start=1))
    for panel, ax in axes.items():
        mine = table[table["panel"] == panel]
        for part, rows in mine[mine["item"].isna()].groupby("part"):
            first = rows.iloc[0]
            if part == "title":
                ax.set_title(first["text"], fontsize=first["size"])
            elif part in ("x axis", "y axis"):
                side = part[0]
                getattr(ax, f"set_{side}scale")(first["mark"])
                getattr(ax, f"set_{side}label")(first["text"])
        for _, rows in mine.groupby("item"):
            _part(ax, rows.reset_index())
        if len(ticks := mine[mine["part"] == "tick"]):
            ax.set_yticks(ticks["y"], ticks["text"])
        ends = mine.set_index("part")
        ax.set_xlim(*ends.loc["x axis", ["x_low", "x_high"]])
        ax.set_ylim(*ends.loc["y axis", ["y_low", "y_high"]])
    return figure


def _part(ax, rows):
    first = rows.iloc[0]
    part, mark = first["part"], first["mark"]
    colour, width = first["colour"] or first["fill"], first["width"]
    x, y = rows["x"], rows["y"]
    space = {"": ax.transData, "x": ax.get_yaxis_transform(), "y": ax.get_xaxis_transform()}
    if part in ("line", "points") and mark == "o" and not np.isfinite(width):
        ax.scatter(x, y, s=rows["size"].ffill() ** 2, c=colour)
    elif part in ("line", "points"):
        ends = [(None if rows[f"{a}_low"].isna().all() else
                 np.abs(rows[[f"{a}_low", f"{a}_high"]].to_numpy().T - v.to_numpy()))
                for a, v in (("x", x), ("y", y))]  # fmt: skip
        look = {"ms": first["size"], "mfc": first["fill"] or None}
        look = look if np.isfinite(first["size"]) else {}
        if any(end is not None for end in ends):
            ax.errorbar(x, y, xerr=ends[0], yerr=ends[1], fmt=mark, color=colour, elinewidth=width,
                        lw=width if part == "points" else 1.5, **look)  # fmt: skip
        else:
            ax.plot(x, y, mark, color=colour, lw=width, transform=space[first["within"]], **look)
    elif part == "segment":
        for row in rows.itertuples():
            ax.hlines(row.y_low, row.x_low, row.x_high, color=colour, lw=width)
    elif part == "area":
        ax.fill(x, y, fc=first["fill"], ec=first["colour"] or "none", lw=width)
    elif part == "bar":
        for r in rows.itertuples():
            ax.fill([r.x_low, r.x_high, r.x_high, r.x_low], [r.y_low, r.y_low, r.y_high, r.y_high],
                    fc=r.fill, ec=r.colour or "none", lw=width if r.colour else 0,
                    transform=space[first["within"]])  # fmt: skip
    elif part == "text":
        ax.text(first["x"], first["y"], first["text"], fontsize=first["size"], color=colour)
    else:
        scale, cells = first, rows[rows["part"] == "cell"]
        grid = cells.pivot(index="y", columns="x", values="value")
        edges = [np.append(v - 0.5, v[-1] + 0.5) for v in (grid.columns, grid.index)]
        ends = {"vmin": scale["x_low"], "vmax": scale["x_high"]}
        ax.pcolormesh(*edges, grid, cmap=scale["mark"], **ends)


def read(figure: Figure) -> pd.DataFrame:
    words = dict.fromkeys(("series", "colour", "fill", "mark", "within", "text"), str)
    table = pd.read_csv(io.StringIO(_drawn.text(figure)), dtype=words)
    return table.fillna(dict.fromkeys(words, ""))


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def blocks(one: np.ndarray, other: np.ndarray) -> int:
    """Blocks of 2 × 2 pixels that differ; an edge that lies a pixel beside itself makes none."""
    apart = np.abs(one - other).max(axis=2) > 40
    return int((apart[1:, 1:] & apart[:-1, 1:] & apart[1:, :-1] & apart[:-1, :-1]).sum())


def test_a_figure_is_drawn_again_from_its_table_alone():
    one = planted()
    other = again(read(one))
    assert blocks(pixels(one), pixels(other)) == 0
    table = read(one)
    table.loc[table["series"] == "ours", "y"] += 0.05
    assert blocks(pixels(one), pixels(again(table))) > 0, "a mark that moved is seen"


def test_the_table_has_the_numbers_that_were_given():
    table = read(planted())
    ours = table[table["series"] == "ours"]
    assert ours["x"].tolist() == [0, 1, 2, 3, 4]
    assert (ours["y"] - ours["y_low"]).dropna().round(5).tolist() == [0.1] * 4
    assert (ours["y_high"] - ours["y"]).dropna().round(5).tolist() == [0.05] * 4
    theirs = table[table["series"] == "theirs"]
    assert (theirs["x_high"] - theirs["x_low"]).dropna().round(5).tolist() == [0.14] * 4
    assert set(table["part"]) == {
        "title", "x axis", "y axis", "tick", "points", "line", "segment", "area", "bar", "text",
        "colours", "cell",
    }  # fmt: skip
    assert table.loc[table["part"] == "cell", "value"].notna().sum() == 6


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("y", lambda ax: ax.lines[-1].set_ydata(ax.lines[-1].get_ydata() + 0.001)),
        ("colour", lambda ax: ax.lines[-1].set_color("#0072B3")),
        ("text", lambda ax: ax.set_xlabel("places")),
        ("mark", lambda ax: ax.set_xscale("symlog")),
    ],
)
def test_a_changed_value_colour_or_word_changes_the_table(column, change):
    one, other = planted(), planted()
    change(other.axes[0])
    tables = read(one), read(other)
    moved = [c for c in _drawn.COLUMNS if not tables[0][c].equals(tables[1][c])]
    assert column in moved
    assert set(moved) <= {column, "fill", "x_low", "x_high"}, "the limits of a scale are its own"


def test_pixels_of_an_image_stay_out_of_the_table():
    figure = Figure()
    figure.add_subplot().imshow(np.full((64, 64, 3), 7, np.uint8))
    (row,) = read(figure).query("part == 'image'").to_dict("records")
    assert (row["text"], row["value"]) == ("64 × 64 × 3", 7)


def test_shipped_tables_are_of_a_size_to_be_committed(root):
    tables = sorted(root.glob("figures/planet32/*.csv"))
    assert tables
    assert not [p.name for p in tables if p.stat().st_size > LARGEST]
