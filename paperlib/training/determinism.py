"""Equal runs give equal bits: the one module that knows about the backend under Keras."""

from __future__ import annotations

import os
import sys

import keras

from ..utils import backend

backend.settle()
_DONE = False
_THREADS = "all"


def prepare() -> None:
    """Make the backend's operations deterministic. Call before the first network is built.

    TensorFlow: deterministic kernels, and an error where there is none. JAX: deterministic
    kernels on a GPU, if JAX has not started yet; on a CPU they are so anyway.
    """
    global _DONE
    if _DONE:
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "jax":
        flag = "--xla_gpu_deterministic_ops=true"
        if flag not in os.environ.get("XLA_FLAGS", ""):
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    elif keras.backend.backend() == "torch":
        sys.modules["torch"].use_deterministic_algorithms(True, warn_only=True)
    _DONE = True


def one_thread() -> None:
    """Compute in one thread; call before the backend starts, at a process' beginning.

    Sums are split among threads, and each number of threads rounds them in its own way: with one,
    a run gives the same bits on any number of cores.
    """
    global _THREADS
    _THREADS = "one"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    elif keras.backend.backend() == "jax":
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    elif keras.backend.backend() == "torch":
        sys.modules["torch"].set_num_threads(1)


def jit() -> bool | str:
    """Keras' `jit_compile`: off on TensorFlow without a GPU, where XLA is slower than oneDNN."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return "auto" if tf.config.list_physical_devices("GPU") else False
    return "auto"


def threads() -> str:
    """`one` after `one_thread`, else `all` that the backend takes: part of what fixes the bits."""
    return _THREADS


def hardware() -> str:
    """The device that computes, for the record: `cpu` or the accelerator's name."""
    backend = keras.backend.backend()
    try:
        if backend == "tensorflow":
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            if gpus:
                return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu")
        elif backend == "jax":
            device = sys.modules["jax"].devices()[0]
            return "cpu" if device.platform == "cpu" else str(device.device_kind)
        elif backend == "torch" and sys.modules["torch"].cuda.is_available():
            return sys.modules["torch"].cuda.get_device_name()
    except (KeyError, RuntimeError):
        pass
    return "cpu"
