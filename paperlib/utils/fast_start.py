"""Start sooner: Keras and TensorFlow without the packages that they import only if they are there.

Both try to import pandas, Matplotlib, scikit-learn, IPython and more, for conveniences that a
process which only predicts never uses, and do without where they are not installed. Where they are,
without this module a first prediction takes 1.5 times the processor time (5.0 in place of 3.4 s).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator

OPTIONAL = ("IPython", "matplotlib", "pandas", "scipy", "sklearn")


@contextlib.contextmanager
def without(packages: Iterable[str]) -> Iterator[None]:
    """Import something as if these packages were not installed; those already imported stay.

    Hidden from every thread: not while another imports them.
    """
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # then `import name` is an ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def backend() -> None:
    """Import Keras and its backend for a process that only predicts.

    Afterwards Keras takes no DataFrames and draws nothing in this process; the packages themselves
    can be imported as ever. Does nothing where Keras is already imported.
    """
    if "keras" in sys.modules:
        return
    optional = list(OPTIONAL)
    if os.environ.get("KERAS_BACKEND") == "tensorflow":
        optional.append("jax")  # TensorFlow's converters look for it
    with without(optional):
        import keras  # noqa: F401
