"""`paper data check`: what is there, beside what was published, and whether a run goes through."""

from __future__ import annotations

import io
import json

import chipmaker
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from paperlib.chips import archive, jpeg, ucmerced
from paperlib.chips import check as checking
from paperlib.chips.check import check
from paperlib.cli import app
from paperlib.labels import PUBLISHED_COUNTS


def shown(report) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report)
    return console.export_text()


@pytest.fixture
def mixed(tmp_path):
    """Nine rows: one repeats a tag, one has no weather tag; one chip is missing, two are surplus,
    one is of another size."""
    members = chipmaker.chips(8)
    members["train_5"] = chipmaker.jpeg(chipmaker.pixels(5, 40))
    members["extra_1"] = members["extra_2"] = members["train_0"]
    text = "image_name,tags\n" + "".join(
        f"train_{i},{tags}\n"
        for i, tags in enumerate(
            ["clear primary", "clear primary primary", "water", "haze water", "clear", "cloudy",
             "clear road", "clear road", "clear blooming"]
        )
    )  # fmt: skip
    return chipmaker.folder(tmp_path / "d", members, text=text)


def readable(chip: bytes) -> bool:
    try:
        return jpeg.decode(chip, 4).shape == (128, 128, 3)
    except archive.BadChip:
        return False


def test_a_chip_that_only_opencv_can_read_is_named(tmp_path):
    """Seen failing: of damaged chips of four components OpenCV gives what it could read."""
    members = {
        name: chipmaker.jpeg(np.clip(chipmaker.pixels(i, 128), 60, 190), 90)
        for i, name in enumerate(chipmaker.chips(8))
    }
    whole, middle = members["train_3"], len(members["train_3"]) // 3
    for seed in range(100):
        noise = np.random.default_rng(seed).bytes(40)
        damaged = whole[:middle] + noise + whole[middle + 40 :]
        try:
            jpeg.exact(damaged)
        except archive.BadChip:
            if readable(damaged):
                break
    else:
        pytest.fail("no such damage was found")
    folder = chipmaker.folder(tmp_path / "d", {**members, "train_3": damaged})
    report = check(folder, progress=False)
    assert [name for name, _ in report.bad] == ["train_3"]
    assert not report.ok


def test_a_picture_of_four_channels_that_is_no_jpeg_is_read_as_ever():
    """Seen failing: it was given to the reader of JPEGs, and called damaged."""
    buffer = io.BytesIO()
    Image.fromarray(chipmaker.pixels(1)).convert("RGBA").save(buffer, "TIFF")
    read = checking._exactly(ucmerced._UCMerced.decode)
    assert np.array_equal(read(buffer.getvalue(), 4), chipmaker.pixels(1))


def test_what_it_finds(mixed):
    report = check(mixed, progress=False)
    assert report.rows == 9
    assert {tag: n for tag, n in report.counts.items() if n} == {
        "clear": 6,
        "primary": 2,  # a repeat counts once
        "water": 2,
        "haze": 1,
        "cloudy": 1,
        "road": 2,
        "blooming": 1,
    }
    assert report.repeated == {"train_1": ["primary"]}
    assert report.no_weather == ["train_2"]
    assert report.missing == ["train_8"]
    assert report.surplus == ["extra_1", "extra_2"]
    assert report.sizes == {"32×32": 7}
    assert [name for name, _ in report.bad] == ["train_5", "train_8"]
    assert sum(report.splits.values()) == 9
    assert not report.ok


def test_as_text(mixed):
    text = shown(check(mixed, progress=False))
    for part in (
        "9 of 40,479 rows",
        "32×32: 7",
        "missing chips, named in the label file only: 1 (train_8)",
        "surplus chips, not named in the label file: 2 (extra_1, extra_2)",
        "rows that repeat a tag (a repeat counts once): 1 (train_1)",
        "rows without a weather tag: 1 (train_2)",
        "a run would stop: 2 of 9 chips cannot be used: train_5 is 40×40 pixels",
    ):
        assert part in " ".join(text.split()), part
    rows = {
        line.split("│")[1].strip(): line.split("│") for line in text.splitlines() if "│" in line
    }
    assert [cell.strip() for cell in rows["clear"][3:7]] == ["6", "66.7 %", "28,431", "70.2 %"]


def test_command_prints_json_and_tells_by_its_exit_code(mixed, tmp_path):
    result = CliRunner().invoke(app, ["data", "check", str(mixed), "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["missing"] == ["train_8"]
    assert said["published_counts"] == PUBLISHED_COUNTS
    assert said["bad"][1] == {"chip": "train_8", "reason": "is not in train-jpg"}
    good = chipmaker.folder(tmp_path / "good", chipmaker.chips(30), kind="zip")
    result = CliRunner().invoke(app, ["data", "check", str(good)])
    assert result.exit_code == 0
    assert "a run goes through" in result.stdout


def test_bad_rows_stop_a_run_too(tmp_path):
    text = chipmaker.table(chipmaker.chips(30)) + "train_7,clear\n"
    report = check(chipmaker.folder(tmp_path / "d", chipmaker.chips(30), text=text), progress=False)
    assert not report.ok
    assert "train_7 the name is there again on line 32" in report.verdict()
    assert report.surplus == []  # its row is bad, but it is named


def test_cut_archive(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(20), kind="tar")
    tar = place / "train-jpg.tar"
    tar.write_bytes(tar.read_bytes()[:9000])
    report = check(place, progress=False)
    assert "cut off" in report.verdict()
    assert "cut off" in report.as_dict()["cut"]


def test_no_training_chip_stops_a_run(tmp_path):
    report = check(chipmaker.folder(tmp_path / "d", {"train_0": GOOD}), progress=False)
    missing = [split for split in ("train", "validation") if not report.splits[split]]
    assert missing
    assert not report.ok
    assert missing[0] in report.verdict()


GOOD = chipmaker.jpeg(chipmaker.pixels(0))


@pytest.mark.data
def test_real_full_size_chips(shared):
    report = check(shared / "data" / "planet256", progress=False)
    assert report.ok
    assert report.sizes == {"256×256": 122}
    assert report.surplus == report.missing == []
