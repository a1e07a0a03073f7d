"""README.md: its generated parts are current, and what it tells people to type exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from paperlib.pipeline import manifest, readme
from paperlib.pipeline.notebooks import read_all
from paperlib.utils import files
from paperlib.utils.errors import PaperError


@pytest.fixture(scope="module")
def text(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "part", ["results", "verdicts", "leak", "completeness", "notebooks", "profiles"]
)
def test_the_generated_parts_are_current(root, text, part):
    again = readme.replaced(text, part, readme.PARTS[part](root))
    assert again == text, "run: make readme"


def test_the_showcases_speed_is_current(root):
    page = (root / "demo_site/README.md").read_text(encoding="utf-8")
    assert readme.replaced(page, "speed", readme.showcase_speed(root)) == page, "run: make readme"


def test_the_showcases_speed_names_day_machine_release_and_what_was_missed(root, tmp_path):
    assert "--write" in readme.showcase_speed(tmp_path)
    card = tmp_path / "paperlib/released/planet32/card.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    machine = {"cores": 2, "processor": "a chip", "memory_gb": 8, "gpus": []}
    part = {"date": "2026-01-02", "hardware": machine, "model": "planet32", "rows": [
        {"what": "a page", "value": "9 ms", "target": "10 ms", "met": True},
        {"what": "a chip", "value": "11 ms", "target": "10 ms", "met": False},
    ]}  # fmt: skip
    now = part | {"card": files.sha256(card)}
    parts = {"one": now, "two": now, "three": part | {"card": "0"}}
    files.write_json(tmp_path / "demo_site/speed.json", {"parts": parts})
    said = readme.showcase_speed(tmp_path)
    assert said.count("On 2026-01-02, 2 cores of a chip, 8 GB, model planet32") == 2
    first, second = said.split("planet32 of an earlier release:")
    assert "planet32 as released now:" in first
    assert first.count("| a page | 9 ms | 10 ms |") == 2
    assert second.count("| a chip | 11 ms | 10 ms, **missed** |") == 1


def test_the_leak_says_of_each_budget_on_which_side_of_0_its_interval_lies(tmp_path):
    folder = tmp_path / "results" / "planet32"
    folder.mkdir(parents=True)
    what = "what the order is worth: the first minus the second"
    (folder / "leak_differences.csv").write_text(
        "budget,comparison,value,low,high\n"
        f"all chips,{what},0.002,-0.008,0.012\nall chips,another,0.5,0.4,0.6\n"
        f"few chips,{what},0.02,0.011,0.029\n"
    )
    printed = [("all chips", "by copy", 0.88), ("all chips", "by chip", 0.87),
               ("few chips", "by copy", 0.80), ("few chips", "by chip", 0.70)]  # fmt: skip
    rows = [f"{budget},{arm},{seed},its own validation copies,{f2 + seed / 100}"
            for budget, arm, f2 in printed for seed in (0, 1)]  # fmt: skip
    (folder / "leak.csv").write_text("budget,arm,seed,on,f2\n" + "\n".join(rows) + "\n")
    said = readme.PARTS["leak"](tmp_path)
    assert "| all chips | prints 0.8850 | prints 0.8750 | +0.0020 (−0.0080 to +0.0120) |" in said
    assert "| few chips | prints 0.8050 | prints 0.7050 | +0.0200 (+0.0110 to +0.0290) |" in said
    assert "mean of 2 seeds" in said
    assert "For “all chips” it holds 0. For “few chips” it lies above 0. Wider" in said
    table = folder / "leak_differences.csv"
    table.write_text(table.read_text().replace("0.011,", "-0.011,"))
    assert "interval. In each row it holds 0. Wider" in readme.PARTS["leak"](tmp_path)


def test_a_changed_result_makes_the_verdicts_stale(root, text, tmp_path):
    """What is printed on the front page follows the result files: a touched one is seen."""
    for name in ("notebooks", "results/planet32", "figures/planet32"):
        skip = shutil.ignore_patterns("*.html", "failed")
        shutil.copytree(root / name, tmp_path / name, ignore=skip)
    assert readme.verdicts(tmp_path) == readme.verdicts(root)
    path = tmp_path / "results/planet32/recalibration_differences.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.00", "0.01"), encoding="utf-8")
    changed = readme.verdicts(tmp_path)
    row = next(
        line
        for line in changed.splitlines()
        if "Ridge improves the overall prediction over none" in line
    )
    assert "not made yet (`paper run 07 --profile planet32`)" in row
    assert readme.replaced(text, "verdicts", changed) != text


def test_each_score_says_of_which_networks_it_is(tmp_path):
    """Rows of unlike networks stand in one table: none is read as of the others' width."""
    narrow, wide = "VGG-16 × 0.125, 12 epochs", "VGG-16, from ImageNet weights, 4 epochs"
    rows = [
        ("one network", narrow, "nested", 0.88),
        ("choice per label, ridge", narrow, "paper", 0.99),
        ("choice per label, ridge", narrow, "nested", 0.89),
        (f"{wide}, ridge", wide, "nested", 0.91),
        (wide, wide, "nested", 0.90),
    ]
    lines = ["system,networks,protocol,chips,f2,low,high"]
    lines += [f'"{s}","{n}",{p},6460,{f},{f - 0.01},{f + 0.01}' for s, n, p, f in rows]
    path = tmp_path / "results/planet32/overall_f2.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    table = readme.results(tmp_path).splitlines()
    assert f"| here, 32 px: one network | {narrow} | – | 0.8800 (0.8700 – 0.8900) |" in table
    (choice,) = (line for line in table if "choice per label" in line)
    assert "0.9900" in choice.split(" | ")[2]  # a column for each protocol
    assert "0.8900" in choice.split(" | ")[3]
    (best,) = (line for line in table if "the highest nested score" in line)
    assert not any("released model" in line for line in table)  # none is released there
    network = {"network": "vgg16", "width": 0.5, "epochs": 16, "teacher": "a-slug"}
    score = {"value": 0.9, "low": 0.89, "high": 0.91}
    card = {"network": network, "bits": 8, "scores": {"f2_mean_over_chips": score}}
    files.write_json(tmp_path / "paperlib/released/planet32/card.json", card)
    (released,) = (r for r in readme.results(tmp_path).splitlines() if "released model" in r)
    assert "a larger network taught it | VGG-16 × 0.5, 16 epochs, 8 bits | – | 0.9000" in released
    assert best.startswith(
        f"| here, 32 px: one network, ridge, the highest nested score of "
        f"the paper's recipe | {wide} |"
    )
    assert not any("0.9000 (" in line for line in table)  # no step of the system, nor the best


def test_a_run_that_took_networks_from_an_earlier_one_is_no_measure_of_a_first_one(root, tmp_path):
    (tmp_path / "notebooks").symlink_to(root / "notebooks")
    hardware = {"cores": 2, "processor": "Some", "gpus": [], "memory_gb": 8}
    names = [notebook.name for notebook in read_all(root / "notebooks")]

    def table(kept: int) -> str:
        took = {"status": "done", "seconds": 60.0, "peak_mb": 1000, "hardware": hardware}
        runs = {name: {**took, "networks_saved": kept} for name in names}
        entries = {name: {"status": "done"} for name in names}
        made = {"schema": manifest.SCHEMA, "notebooks": entries, "run": {"notebooks": runs}}
        manifest.write(tmp_path / "results" / "sample", made)
        return readme.measured(tmp_path)

    assert f"{len(names)} min" in table(kept=0)
    page = "| `sample` | 17 | 42 min | 3.0 GB | 2 cores of mine |"
    (tmp_path / "README.md").write_text(f"{page}\n")
    assert page in table(kept=1)
    assert f"{len(names)} min" in table(kept=0)


def test_a_part_without_markers_is_an_error():
    with pytest.raises(PaperError, match="no one part called measured"):
        readme.replaced("# A page\n", "measured", "x")


def test_only_what_stands_between_the_markers_is_replaced():
    page = "a\n<!-- begin:x -->\nold\n<!-- end:x -->\nb\n"
    assert readme.replaced(page, "x", r"new \1") == page.replace("old", r"new \1")


def test_the_two_commands_open_it_and_every_target_exists(root, text):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.M))
    used = re.findall(r"make ([a-z]+)", "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.S)))
    assert used[:2] == ["paper", "test"]
    assert set(used) <= targets
    assert text.index("make paper") < text.index("## ")


def test_every_paper_command_it_names_exists(text):
    from typer.main import get_command

    from paperlib.cli import app

    commands = get_command(app).commands

    code = re.findall(r"`[^`]+`", text.replace("```", "`"))  # a fence is three: else the pairs slip
    used = set(re.findall(r"\bpaper ((?:data )?[a-z-]+)", "\n".join(code)))
    used |= set(re.findall(r"bin/paper ((?:data )?[a-z]+)", text))
    assert used
    assert used <= set(commands) | {f"data {name}" for name in commands["data"].commands}


def test_its_files_and_links_exist(root, text):
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (root / target).exists(), target
    for folder in ("notebooks", "paperlib", "demo_site", "tests"):
        assert (root / folder).is_dir()


def test_its_python_names_exist(text):
    block = re.search(r"```python\n(.*?)```", text, re.S)
    assert block is not None
    code = block[1].splitlines()
    imports = [line for line in code if line.startswith(("from", "import"))]
    check = "; ".join([*imports, "dehaze.dehaze", "predictor.load"])
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
