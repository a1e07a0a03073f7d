"""The same losses and the same training on JAX and PyTorch, each in one process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from training_stand_ins import CONFIG, chips

from paperlib import losses
from paperlib.training import runs, train

SHORT = replace(CONFIG, epochs=2)
# XLA optimises for most of the time this takes; the numbers stay the same to float32's precision.
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

_SCRIPT = """
import json, sys
import keras
from paperlib import losses
from paperlib.training import train
from test_backends import SHORT, case
from training_stand_ins import chips
y, p = case()
values = {n: float(keras.ops.convert_to_numpy(losses.get(n)(y, p))) for n in losses.LOSSES}
print(json.dumps(values))
if keras.backend.backend() == "jax":
    import jax
    half = jax.numpy.zeros(y.shape, "float16")
    for name in losses.LOSSES:
        slope = jax.grad(lambda q, loss=losses.get(name): loss(y, q))(half)
        assert slope.dtype == "float16" and jax.numpy.isfinite(slope).all(), name
run = train.train(SHORT, chips(), sys.argv[1], progress=False)
assert run.metadata["backend"] == keras.backend.backend() != "tensorflow"
assert train.train(SHORT, chips(), sys.argv[1], progress=False).folder == run.folder
"""


def case() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random((64, 17)) < 0.2).astype("float32")
    y[:, 3] = 0  # a label that the batch does not hold
    return y, rng.random((64, 17)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_losses_agree_and_a_network_trains(backend, tmp_path, monkeypatch):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path / "cache"))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)],
        cwd=Path(__file__).parent,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": _QUICK},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    values = json.loads(done.stdout.splitlines()[0])
    y, p = case()
    for name in losses.LOSSES:
        here = float(keras.ops.convert_to_numpy(losses.get(name)(y, p)))
        assert values[name] == pytest.approx(here, abs=1e-5)

    there = runs.find(SHORT, tmp_path)
    here = train.train(SHORT, chips(), tmp_path / "here", progress=False)
    # the same weights, shuffle and schedule to begin with; the draws of the transforms differ
    assert there.history["loss"].iloc[0] == pytest.approx(here.history["loss"].iloc[0], rel=0.2)
    assert there.history["loss"].iloc[1] < there.history["loss"].iloc[0]
