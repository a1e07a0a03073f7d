"""The rare things on the ground of a generated scene: mines, logging, blooming trees, blow-down."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .canvas import Canvas, box
from .land import CLAY, SAND

SALMON = [(206, 142, 108), (190, 120, 88), (214, 166, 128), (176, 104, 80)]
POND = [(92, 142, 132), (120, 152, 128), (146, 138, 100), (74, 112, 110)]


def conventional_mine(c: Canvas) -> None:
    """An open pit: one large bright area with terraces, haul roads and a settling pond."""
    x, y = c.place(50)
    radius = c.uniform(42, 100)
    salmon = np.array(c.pick(SALMON))
    pit = c.blob(x, y, radius, 0.3)
    c.paint(pit, tuple(salmon * 0.82), tuple(np.minimum(salmon * 1.12, 250)), 0)
    floor = c.distance(*c.place(-60), c.uniform(1, 2.2), c.uniform(0, np.pi))
    floor = floor + np.float32(c.uniform(6, 20)) * c.texture("relief") + 2 * c.texture("outline")
    step = np.sin(floor * np.float32(2 * np.pi / c.uniform(7, 14)))
    worked = c.blob(x + c.rng.normal(0, 15), y + c.rng.normal(0, 15), radius * 0.7, 0.4)
    wall = cv2.bitwise_and(cv2.bitwise_and(cv2.compare(step, 0.5, cv2.CMP_GT), pit), worked)
    cv2.copyTo(cv2.convertScaleAbs(c.image, alpha=c.uniform(0.74, 0.88)), wall, c.image)
    angle = c.uniform(0, np.pi)
    for _ in range(c.rng.integers(1, 4)):  # stockpiles and cut blocks
        at = np.array([x, y]) + c.rng.normal(0, radius * 0.45, 2)
        block = c.polygon(box(*at, c.uniform(16, 46), c.uniform(12, 36), angle))
        bright = np.array(c.pick(SALMON, 14))
        c.paint(block, tuple(bright * 0.94), tuple(np.minimum(bright * 1.08, 250)), 0)
    if c.chance(0.7):
        at = np.array([x, y]) + c.rng.normal(0, radius * 0.4, 2)
        c.paint(c.polygon(box(*at, c.uniform(14, 34), c.uniform(10, 24), angle)), c.pick(POND))
    for _ in range(c.rng.integers(1, 4)):
        start = (x + c.rng.normal(0, 10), y + c.rng.normal(0, 10))
        haul = c.path(start, c.uniform(0, 2 * np.pi), bend=c.uniform(0.05, 0.35))
        c.stroke(haul, tuple(np.minimum(salmon * 1.1, 250)), c.uniform(2, 4.5))


def artisinal_mine(c: Canvas) -> None:
    """Small diggings: strings of cream pits along a creek, many with a turquoise or muddy pond."""
    if rivers := c.lines.get("river"):
        creek = rivers[c.rng.integers(len(rivers))]
    else:
        creek = c.crossing(bend=c.uniform(0.25, 0.5))
        c.stroke(creek, c.pick(CLAY), c.uniform(1.5, 4), 60)
    creek = creek[((creek > 15) & (creek < 241)).all(1)]
    if len(creek) < 8:
        creek = np.array(c.place(60)) + np.cumsum(c.rng.normal(0, 5, (12, 2)), 0)
    first = int(c.rng.integers(0, max(1, len(creek) - 10)))
    part = creek[first : first + int(c.rng.integers(8, 30))]
    cream = np.array(c.pick([*SAND, (226, 200, 150)]))
    mask = np.zeros(c.crowns.shape, np.uint8)
    ponds = []
    for _ in range(int(np.clip(c.rng.lognormal(3.2, 0.5), 9, 70))):
        at = part[c.rng.integers(len(part))] + c.rng.normal(0, c.uniform(4, 17), 2)
        radius = float(np.clip(c.rng.lognormal(1.45, 0.5), 2, 13))
        shape = (round(at[0]), round(at[1])), (round(radius), round(radius * c.uniform(0.5, 1)))
        cv2.ellipse(mask, *shape, c.uniform(0, 180), 0, 360, 255, -1)
        if radius > 4 and c.chance(0.6):
            ponds.append((shape[0], max(2, round(radius * 0.5))))
    c.paint(mask, tuple(cream * 0.8), tuple(np.minimum(cream * 1.08, 252)), 0, "grain")
    for centre, radius in ponds:
        cv2.circle(c.image, centre, radius, c.pick(POND), -1, cv2.LINE_AA)


def selective_logging(c: Canvas) -> None:
    """Skid trails: a net of thin tracks through standing forest, with log landings along them."""
    earth = np.array(c.pick([(132, 108, 76), (120, 102, 78), (146, 122, 90)]))
    main = c.crossing(bend=c.uniform(0.05, 0.25))
    c.stroke(main, tuple(earth), c.uniform(1.2, 2.4), 70)
    main = main[((main > 2) & (main < 254)).all(1)]
    if len(main) < 4:
        main = np.array([[60.0, 128.0], [128.0, 128.0], [190.0, 128.0], [220.0, 128.0]])
    heading = float(np.arctan2(*(main[-1] - main[0])[::-1]))
    for _ in range(c.rng.integers(5, 13)):
        start = main[c.rng.integers(len(main))]
        turn = c.rng.choice([-1, 1]) * c.uniform(0.7, 1.7)
        trail = c.path((start[0], start[1]), heading + turn, bend=c.uniform(0.1, 0.35))
        trail = trail[: int(c.rng.integers(4, 16))]
        c.stroke(trail, tuple(earth * c.uniform(0.7, 1.0)), 1, 110)
        if c.chance(0.7):  # the gap of a felled tree, or a landing
            x, y = trail[-1]
            c.paint(
                c.blob(x, y, c.uniform(2.5, 6.5)), tuple(earth), tuple(earth * 1.25), 50, "grain"
            )


def blooming(c: Canvas) -> None:
    """Single crowns in flower: scattered yellow, white or pink dots in the canopy."""
    flower = c.pick([(206, 178, 62), (216, 208, 176), (192, 140, 176), (226, 196, 88)], 10)
    strength = c.uniform(0.55, 1.0)
    count = int(np.clip(c.rng.lognormal(4.0, 0.6), 18, 200))
    at = c.rng.uniform(0, 256, (count, 2))
    if c.chance(0.5):  # in groves
        at = np.array(c.place(20)) + c.rng.normal(0, c.uniform(35, 80), (count, 2))
    trees = c.crowns > 200
    for x, y in at:
        col, row = int(x) % 256, int(y) % 256
        if not trees[row, col]:
            continue
        under = c.image[row, col]
        tone = strength * c.uniform(0.7, 1.0)
        colour = tuple((tone * np.array(flower) + (1 - tone) * under).tolist())
        centre = (int((x % 256) * 8), int((y % 256) * 8))
        cv2.circle(c.image, centre, int(c.uniform(1.0, 2.9) * 8), colour, -1, cv2.LINE_AA, 3)


def blow_down(c: Canvas) -> None:
    """Trees thrown by a downburst: a pale fan of fallen trunks, all lying one way."""
    x, y = c.place(55)
    angle, length = c.uniform(0, 2 * np.pi), c.uniform(45, 120)
    pale = np.array(c.pick([(124, 122, 84), (138, 128, 100), (110, 116, 74)]))
    ahead = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-ahead[1], ahead[0]])
    for k in range(int(c.rng.integers(3, 8))):  # the fingers of the fan
        spread = c.rng.normal(0, 0.33)
        start = np.array([x, y]) + across * c.rng.normal(0, 9)
        finger = ahead * np.cos(spread) + across * np.sin(spread)
        reach = length * c.uniform(0.4, 1.0) * (0.7 if k > 3 else 1)
        tip = start + finger * reach
        wide = np.array([-finger[1], finger[0]]) * c.uniform(5, 12)
        wedge = np.stack([start - wide * 0.4, start + wide * 0.4, tip + wide, tip - wide])
        mask = cv2.bitwise_and(
            c.polygon(jittered(c, wedge)), cv2.compare(c.texture("grain"), -0.35, cv2.CMP_GT)
        )
        c.paint(mask, tuple(pale * 0.72), tuple(pale), 130, "grain")
        for _ in range(int(reach / 3)):  # trunks
            a = start + finger * c.uniform(0, reach) + wide * c.uniform(-1, 1)
            b = a + (finger + across * c.rng.normal(0, 0.12)) * c.uniform(4, 10)
            tone = tuple(np.minimum(pale * c.uniform(1.05, 1.5), 250))
            c.stroke(np.stack([a, b]), tone, 1, 90)


def jittered(c: Canvas, points: np.ndarray) -> np.ndarray:
    return points + c.rng.normal(0, 4, points.shape)


DRAWN_FIRST: dict[str, Callable[[Canvas], None]] = {
    "blow_down": blow_down,
    "selective_logging": selective_logging,
    "blooming": blooming,
}
DRAWN_LATER: dict[str, Callable[[Canvas], None]] = {
    "conventional_mine": conventional_mine,
    "artisinal_mine": artisinal_mine,
}
