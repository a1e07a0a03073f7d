"""The base installation: what works without any extra, and what a command says that needs one."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from paperlib.utils import extras

#: Import names of what the base installation does not bring, besides what pyproject.toml names.
OTHERS = {"skimage", "IPython", "django", "playwright", "jupyter_core", "tensorboard", "jaxlib"}

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""

LIBRARY = """
import numpy as np
from paperlib import dehaze, f2, labels, predictor, profiles, published, ridge
from paperlib.chips import Chips, planet, scenes, split, ucmerced
from paperlib.dehaze import scene
chip = scenes.scene(0, size=64).image
clear = dehaze.dehaze(chip)
large = np.tile(chip, (30, 30, 1))  # for which numba would be imported
assert dehaze.dehaze(large).shape == large.shape
assert clear.shape == chip.shape and clear.dtype == chip.dtype
found = predictor.load("planet32").predict([chip, clear])
truth = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]] * 5, np.uint8)
assert f2.f2_score(truth, truth) == 1
again = ridge.LabelRecalibrator().fit(truth * 0.8 + 0.1, truth).predict(truth * 0.8 + 0.1)
assert again.shape == truth.shape
print(found.probability.shape)
"""


@pytest.fixture(scope="module")
def project(root) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def block(project) -> str:
    """Code after which no package of an extra can be imported."""
    named = {
        Requirement(line).name
        for lines in project["optional-dependencies"].values()
        for line in lines
    }
    blocked = {name.replace("-", "_") for name in named - {"paperlib"}} | OTHERS
    assert {"keras", "tensorflow", "onnx", "pandas", "matplotlib", "dask", "papermill"} <= blocked
    assert "numba" in blocked
    return BLOCK.format(blocked=blocked)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_the_library_works_without_any_extra(block):
    done = run(block + LIBRARY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["(2,", "17)"]


def test_the_commands_work_without_any_extra(block, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1700, 1700, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "chip.png")
    for line in (["dehaze", "chip.png", "clear.png"], ["predict", "clear.png", "--out", "p.csv"]):
        code = f"{block}\nimport os; os.chdir({str(tmp_path)!r})\n"
        done = run(code + "from paperlib.cli import main; main()", *line)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "p.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        (["train"], "train"),
        (["run", "01"], "notebooks"),
        (["release"], "train"),
        (["data", "fetch"], "train"),
        (["demo"], "demo"),
        (["dehaze", "chip.png", "out.png", "--scheduler", "tcp://127.0.0.1:1"], "cluster"),
    ],
)
def test_a_command_says_the_line_that_installs_its_extra(block, tmp_path, root, line, extra):
    Image.new("RGB", (40, 40)).save(tmp_path / "chip.png")
    where = str(root if line[0] == "demo" else tmp_path)
    done = run(
        f"{block}\nimport os; os.chdir({where!r})\nfrom paperlib.cli import main; main()", *line
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert f"pip install 'paperlib[{extra}]'" in done.stderr.splitlines()[-1]


def test_a_module_that_no_extra_brings_is_another_fault():
    assert extras.missing(ModuleNotFoundError("no", name="nowhere")) is None
    assert "train" in str(extras.missing(ModuleNotFoundError("no", name="keras.src")))
    assert "notebooks" in str(extras.missing(ModuleNotFoundError("no", name="skimage.metrics")))
