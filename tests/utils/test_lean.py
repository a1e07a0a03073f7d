"""A process that only predicts starts without what it does not need, and predicts the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from paperlib.utils import fast_start

CODE = """
import json, sys
if {first}:
    from paperlib.utils import fast_start
    fast_start.backend()
import numpy as np
from paperlib import predictor
rng = np.random.default_rng(0)
found = predictor.load("planet32").predict(rng.integers(0, 256, (3, 48, 48, 3), np.uint8))
there = [name for name in ("IPython", "matplotlib", "pandas", "scipy", "sklearn", "jax")
         if name in sys.modules]
import pandas, matplotlib  # can still be had
print(json.dumps([found.raw.tolist(), there]))
"""


def told(first: bool, root) -> list:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first)],
        env={**os.environ, "PYTHONPATH": str(root), "KERAS_BACKEND": "tensorflow"},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_the_answers_are_the_same_and_the_optional_packages_stay_out(root):
    answers, there = told(True, root)
    usual, more = told(False, root)
    assert np.array_equal(answers, usual)
    assert there == []
    assert "pandas" in more  # else there would be nothing to leave out


def test_what_is_already_imported_stays_and_what_is_hidden_comes_back():
    import math

    with fast_start.without(["math", "wave"]):
        assert sys.modules["math"] is math
        with pytest.raises(ImportError):
            import wave
    import wave

    assert wave is sys.modules["wave"]
