"""The package fixes backend, precision and switches, whatever keras.json or the shell say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from paperlib.utils import backend
from paperlib.utils.errors import PaperError

_ASK = """
import json, os
import paperlib.training
from paperlib.training import determinism
from paperlib.networks import build
import keras
from paperlib.utils import backend
net = build.build("vgg11", size=32, width=0.0625, outputs=1)
print(json.dumps([keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(),
                  os.environ["TF_ENABLE_ONEDNN_OPTS"], net.weights[0].dtype, backend.settings()]))
"""


def test_keras_json_and_the_shell_do_not_choose(tmp_path):
    """Seen failing: trained on JAX in float64 with oneDNN off, and called TensorFlow's."""
    given = {
        "backend": "jax",
        "floatx": "float64",
        "image_data_format": "channels_first",
        "epsilon": 0.1,
    }
    (tmp_path / "keras.json").write_text(json.dumps(given))
    shell = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={k: v for k, v in os.environ.items() if k != "PAPER_BACKEND"} | shell,
        capture_output=True,
        text=True,
        check=True,
    )
    *found, settings = json.loads(done.stdout.splitlines()[-1])
    assert found == ["tensorflow", "float32", "channels_last", "1", "float32"]
    assert settings["backend"] == "tensorflow"
    assert settings["oneDNN"] == "1"


def test_a_backend_is_named_to_the_package(monkeypatch):
    monkeypatch.setenv("PAPER_BACKEND", "")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(PaperError, match="no backend is called 'theano'"):
        backend.choose("theano")
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PaperError, match="torch is not installed"):
        backend.choose("torch")
    with pytest.raises(PaperError, match="tensorflow is not installed"):
        backend.choose("tensorflow")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
