"""What lies on the ground of a generated scene: one function for each label that is not weather.

Each looks as its label does on Planet chips: ochre roads, brown or dark rivers with pale bars,
fields with straight edges, bright bare soil. Sizes vary over the whole range in which the labels
occur, down to what one can only just see. Mines and other rare things are in `rare`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .canvas import SIZE, Canvas, Colour, box, jitter

FOREST: list[Colour] = [(31, 49, 26), (27, 47, 29), (40, 50, 26), (34, 54, 24), (26, 41, 25)]
GRASS: list[Colour] = [(98, 112, 66), (122, 120, 80), (84, 106, 58), (132, 122, 92)]
FIELD: list[Colour] = [
    (104, 116, 70),
    (136, 124, 90),
    (86, 108, 56),
    (148, 128, 102),
    (126, 106, 84),
    (112, 134, 66),
    (150, 138, 104),
]
SOIL: list[Colour] = [(150, 124, 96), (168, 146, 116), (138, 108, 82), (186, 168, 138)]
SAND: list[Colour] = [(206, 192, 164), (218, 208, 186), (190, 172, 140)]
CLAY: list[Colour] = [(172, 134, 98), (184, 142, 104), (160, 116, 82), (176, 122, 92)]
RIVER: list[Colour] = [(116, 94, 68), (142, 118, 86), (34, 40, 36), (24, 32, 32), (58, 70, 70)]
LAKE: list[Colour] = [(28, 38, 42), (66, 74, 80), (128, 106, 78), (52, 74, 70)]
ROOF: list[Colour] = [(216, 214, 208), (232, 228, 220), (168, 96, 74), (186, 188, 196)]


def primary(c: Canvas) -> None:
    """Closed canopy over the whole chip, with slight changes of stand and dark valleys."""
    base = np.array(c.pick(FOREST, 4))
    c.paint(np.full((SIZE, SIZE), 255, np.uint8), tuple(base * 0.86), tuple(base * 1.16), 255)
    for _ in range(c.rng.integers(0, 4)):  # natural gaps, which stand for no label
        gap = c.blob(*c.place(5), c.uniform(2, 6), 0.7)
        c.paint(gap, tuple(base * 1.15), tuple(base * 1.4), 140, "grain")


def open_land(c: Canvas) -> None:
    """Grass and scrub, where a chip has no primary forest."""
    low, high = c.pick(GRASS), c.pick(GRASS)
    c.paint(np.full((SIZE, SIZE), 255, np.uint8), low, high, 35)
    tree = c.pick(FOREST)
    for _ in range(c.rng.integers(2, 9)):
        c.paint(c.blob(*c.place(0), c.uniform(4, 26), 0.8), tree, None, 170)


def open_water(c: Canvas) -> None:
    """A river or lake wider than the chip."""
    low = np.array(c.pick([*RIVER, *LAKE]))
    c.paint(np.full((SIZE, SIZE), 255, np.uint8), tuple(low), tuple(low * 1.08), 0)


def agriculture(c: Canvas) -> None:
    """Pasture and crops: parcels with straight edges, from a corner to most of the chip."""
    if c.chance(0.55):
        _pasture(c)
    else:
        _parcels(c)


def _pasture(c: Canvas) -> None:
    """A clearing with a ragged border against the forest, fenced, with trees left standing."""
    x, y = c.place(0)
    angle, reach = c.uniform(0, np.pi), c.uniform(60, 220)
    edge = c.side(x, y, angle) + 9 * c.texture("relief") + 3 * c.texture("outline")
    inside = cv2.inRange(edge, -0.5 * reach, 0.5 * reach)
    c.paint(inside, c.pick(FIELD), c.pick(FIELD), 25)
    tree = c.pick(FOREST)
    for _ in range(c.rng.integers(2, 8)):
        wood = cv2.bitwise_and(c.blob(*c.place(0), c.uniform(2, 12), 0.8), inside)
        c.paint(wood, tree, None, 180)
    fence = c.pick(SOIL, 12)
    lines = np.zeros_like(inside)
    for _ in range(c.rng.integers(0, 4)):
        turn = angle + (np.pi / 2 if c.chance(0.6) else 0)
        ahead = 400 * np.array([np.cos(turn), np.sin(turn)])
        at = np.array(c.place(0))
        ends = np.round(np.stack([at - ahead, at + ahead])).astype(np.int32)
        cv2.polylines(lines, [ends], False, 255, 1)
    c.paint(cv2.bitwise_and(lines, inside), fence, None, 20)


def _parcels(c: Canvas) -> None:
    """Fields side by side in a turned grid, alike in colour, some of them ploughed."""
    x, y = c.place(0)
    angle, reach = c.uniform(0, np.pi), c.uniform(50, 190)
    size = c.uniform(40, 120)
    farm = np.array(c.pick(FIELD))
    axis_x = np.array([np.cos(angle), np.sin(angle)])
    axis_y = np.array([-axis_x[1], axis_x[0]])
    gap = c.uniform(0.0, 0.05) if c.chance(0.7) else c.uniform(0.05, 0.2)
    for i in range(-3, 4):
        for j in range(-3, 4):
            centre = np.array([x, y]) + size * (i * 1.3 * axis_x + j * axis_y)
            if np.hypot(*(centre - (x, y))) > reach or c.chance(0.14):
                continue
            corners = box(*centre, size * (1.3 - gap), size * (1 - gap), angle)
            parcel = c.polygon(jitter(c.rng, corners, 1.5))
            colour = 0.6 * farm + 0.4 * np.array(c.pick(FIELD))
            c.paint(parcel, tuple(colour * 0.88), tuple(np.minimum(colour * 1.12, 250)), 18)
            if c.chance(0.15):
                _furrows(c, parcel, angle if c.chance(0.5) else angle + np.pi / 2)


def _furrows(c: Canvas, parcel: np.ndarray, angle: float) -> None:
    wave = np.sin(c.side(0, 0, angle) * np.float32(2 * np.pi / c.uniform(5, 9)))
    dark = cv2.bitwise_and(cv2.compare(wave, 0.4, cv2.CMP_GT), parcel)
    cv2.copyTo(cv2.convertScaleAbs(c.image, alpha=0.84), dark, c.image)


def cultivation(c: Canvas) -> None:
    """Shifting cultivation: a few small, crooked clearings in the forest, each in its own year."""
    x, y = c.place(30)
    spread = c.uniform(20, 80)
    for _ in range(c.rng.integers(2, 7)):
        size = float(np.clip(c.rng.lognormal(2.95, 0.4), 9, 52))
        at = np.clip(np.array([x, y]) + c.rng.normal(0, spread, 2), 8, 248)
        corners = box(*at, size, size * c.uniform(0.6, 1.1), c.uniform(0, np.pi))
        plot = c.polygon(jitter(c.rng, corners, size * 0.12))
        if c.chance(0.5):  # a fallow, half grown over
            green = np.array(c.pick([(66, 92, 46), (80, 104, 52), (58, 84, 48)]))
            c.paint(plot, tuple(green), tuple(green * 1.25), 120, "grain")
        else:
            soil = np.array(c.pick([(138, 112, 80), (120, 116, 74), (148, 128, 96)]))
            c.paint(plot, tuple(soil * 0.72), tuple(soil), 45, "grain")


def bare_ground(c: Canvas) -> None:
    """Naked soil, rock or a sand bank: smooth, bright, without straight edges."""
    x, y = c.place(20)
    bright = c.pick(SAND if c.chance(0.35) else SOIL)
    soil = np.array(bright)
    worn = tuple(0.55 * soil + 0.45 * np.array(c.pick(GRASS)))  # thin cover around the naked part
    for _ in range(c.rng.integers(1, 5)):
        radius = float(np.clip(c.rng.lognormal(3.5, 0.55), 12, 110))
        if c.chance(0.7):
            around = c.blob(x, y, radius * 1.25, 0.7)
            c.paint(around, worn, tuple(np.array(worn) * 0.85), 40, "grain")
        c.paint(c.blob(x, y, radius, 0.6), tuple(soil * 0.84), bright, 0)
        x, y = np.clip(np.array([x, y]) + c.rng.normal(0, 55, 2), 10, 246)


def water(c: Canvas) -> None:
    """A river with bars, a creek that shows through the canopy here and there, or a lake."""
    kind = c.rng.random()
    if kind < 0.2:
        colour = np.array(c.pick(LAKE))
        x, y = c.place(0)
        c.paint(c.blob(x, y, c.uniform(18, 75), 0.45), tuple(colour), tuple(colour * 1.1), 0)
    elif kind < 0.4:  # the bank of a wide river
        x, y = c.place(40)
        shore = c.side(x, y, c.uniform(0, 2 * np.pi)) + 12 * c.texture("relief")
        colour = np.array(c.pick(RIVER))
        if c.chance(0.5):
            c.paint(cv2.inRange(shore, -c.uniform(3, 9), 1), c.pick(SAND), None, 0)
        c.paint(cv2.compare(shore, 0, cv2.CMP_GT), tuple(colour), tuple(colour * 1.08), 0)
    else:
        points = c.crossing(bend=c.uniform(0.2, 0.55))
        width = float(np.clip(c.rng.lognormal(2.1, 0.75), 3, 44))
        colour = c.pick(RIVER, 6)
        if width > 7 and c.chance(0.55):
            bars = points[c.rng.integers(0, len(points), 12)]
            sand = c.pick(SAND)
            for x, y in jitter(c.rng, bars, width * 0.35):
                cv2.circle(c.image, (int(x), int(y)), int(width * 0.55) + 1, sand, -1, cv2.LINE_AA)
        c.stroke(points, tuple(np.array(colour) * 0.8 + 12), width + 2.4, 40)
        c.stroke(points, colour, width)
        c.lines.setdefault("river", []).append(points)


def road(c: Canvas) -> None:
    """Ochre tracks of even width, straight or gently bent, sometimes with a crossing."""
    clay = c.pick(CLAY) if c.chance(0.85) else c.pick([(150, 148, 142)])
    width = c.uniform(1.2, 3.8)
    through = None
    for _ in range(1 + c.chance(0.35) + c.chance(0.15)):
        points = c.crossing(bend=c.uniform(0.01, 0.16), through=through)
        if c.chance(0.5):  # cleared verges
            c.stroke(points, c.pick(GRASS), width + c.uniform(3, 9), 60)
        c.stroke(points, clay, width)
        c.lines.setdefault("road", []).append(points)
        middle = points[np.argmin(np.hypot(*(points - SIZE / 2).T))]
        through = (float(middle[0]), float(middle[1]))


def habitation(c: Canvas) -> None:
    """Houses: bright roofs of a few pixels in yards of bare soil, along a road if there is one."""
    lines = c.lines.get("road") or c.lines.get("river")
    town = c.chance(0.22)
    if lines:
        line = lines[c.rng.integers(len(lines))]
        line = line[((line > 4) & (line < SIZE - 4)).all(1)]
    if not lines or len(line) < 6:
        line = c.place(50) + np.cumsum(c.rng.normal(0, 5, (20, 2)), 0)
    start = c.rng.integers(0, max(1, len(line) - 8))
    stretch = line[start : start + c.rng.integers(4, 24)]
    count = int(c.rng.integers(40, 150)) if town else int(np.clip(c.rng.lognormal(2.4, 0.7), 4, 50))
    away = c.uniform(24, 60) if town else c.uniform(5, 14)
    at = stretch[c.rng.integers(0, len(stretch), count)] + c.rng.normal(0, away, (count, 2))
    yard = np.array(c.pick(SOIL))
    if town:
        c.paint(
            c.blob(*stretch.mean(0), away * 1.7, 0.4), tuple(yard * 0.62), tuple(yard), 20, "grain"
        )
    angle = c.uniform(0, np.pi / 2)
    for x, y in at:
        side = c.uniform(1.6, 4.2)
        if not town and c.chance(0.7):
            c.stroke(box(x, y, side * 2, side * 2, angle), tuple(yard), side * 1.4, 30)
        turn = angle + c.rng.normal(0, 0.12)
        roof = np.round(box(x, y, side * c.uniform(1.1, 1.9), side, turn) * 8).astype(np.int32)
        cv2.fillPoly(c.image, [roof], c.pick(ROOF, 6), cv2.LINE_AA, 3)
        cv2.fillPoly(c.crowns, [roof], 0, cv2.LINE_8, 3)


def slash_burn(c: Canvas) -> None:
    """A fresh burn: charcoal and ash with felled trunks, inside a browned clearing."""
    x, y = c.place(45)
    for _ in range(c.rng.integers(1, 4)):
        radius = c.uniform(18, 52)
        soil = np.array(c.pick([(126, 96, 70), (112, 92, 70), (138, 106, 78)]))
        c.paint(c.blob(x, y, radius, 0.3), tuple(soil * 0.8), tuple(soil), 60, "grain")
        char = np.array(c.pick([(34, 28, 32), (44, 36, 38), (52, 42, 46)], 4))
        burnt = c.blob(x + c.rng.normal(0, 4), y + c.rng.normal(0, 4), radius * 0.78, 0.5)
        c.paint(burnt, tuple(char), tuple(char * 1.5), 25, "grain")
        for _ in range(c.rng.integers(3, 9)):  # trunks turned to ash
            a = np.array([x, y]) + c.rng.normal(0, radius * 0.35, 2)
            b = a + c.rng.normal(0, 7, 2)
            c.stroke(np.stack([a, b]), c.pick([(128, 120, 114), (104, 94, 88)]), 1, 20)
        x, y = np.clip(np.array([x, y]) + c.rng.normal(0, 60, 2), 30, 226)


#: Drawn in this order, whatever the order of the tags: roads lie on fields, houses on roads.
DRAWN: dict[str, Callable[[Canvas], None]] = {
    "agriculture": agriculture,
    "bare_ground": bare_ground,
    "cultivation": cultivation,
    "slash_burn": slash_burn,
    "water": water,
    "road": road,
    "habitation": habitation,
}
