"""What changes the bits of a network beside its code: the backend under Keras and its switches.

`~/.keras/keras.json` and the environment of a shell would choose them without a word, so the
package does: `fix` before Keras is imported, `settle` after. Whoever wants another backend names it
(`paper train --backend jax`, or `PAPER_BACKEND`), and the runs trained on it say so.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from .errors import PaperError

BACKENDS = ("tensorflow", "jax", "torch")
#: Keras' settings that keras.json may hold, as its own defaults have them.
FLOATX, DATA_FORMAT, EPSILON = "float32", "channels_last", 1e-7


def fix() -> None:
    """Set the environment of this process and those it starts. Call before Keras is imported.

    Where Keras was imported before, its backend stays as it is, and the processes that this one
    starts get the same. Raises `PaperError` for a `PAPER_BACKEND` that is none or not installed.
    """
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "backend"):
        os.environ["PAPER_BACKEND"] = sys.modules["keras"].backend.backend()
    else:
        choose(os.environ.get("PAPER_BACKEND") or BACKENDS[0], required=False)
    os.environ["KERAS_BACKEND"] = os.environ["PAPER_BACKEND"]
    if "tensorflow" not in sys.modules:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"


def choose(name: str, *, required: bool = True) -> None:
    """Name the backend of what is trained from now on.

    required  whether it has to be installed: the default need not, where nothing is trained

    Raises `PaperError` for a name that is none of `BACKENDS`, or is not installed.
    """
    if name not in BACKENDS:
        raise PaperError(f"no backend is called {name!r}", f"choose one of {', '.join(BACKENDS)}")
    if (required or name != BACKENDS[0]) and importlib.util.find_spec(name) is None:
        raise PaperError(f"the backend {name} is not installed", f"pip install {name}")
    os.environ["PAPER_BACKEND"] = os.environ["KERAS_BACKEND"] = name


def settle() -> None:
    """Give Keras the settings that keras.json may have changed. Call after it is imported."""
    import keras

    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(DATA_FORMAT)
    keras.config.set_epsilon(EPSILON)


def name() -> str:
    """The backend that computes, or will: Keras need not be imported."""
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "backend"):
        return sys.modules["keras"].backend.backend()
    return os.environ.get("PAPER_BACKEND") or BACKENDS[0]


def settings() -> dict[str, str]:
    """What a run records of its surroundings, and is another run without.

    Not the number of threads, the versions or the device: those change the last digits at most,
    and stand beside it.
    """
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") if name() == BACKENDS[0] else ""
    return {
        "backend": name(),
        "floatx": FLOATX,
        "image data format": DATA_FORMAT,
        "oneDNN": onednn,
    }
