"""The released model on ONNX Runtime against the same network in Keras on TensorFlow.

    python tests/benchmarks/predictor.py [--model planet32] [--chips 256] [--rounds 5]

Prints ratios, medians of interleaved rounds on one core of one run: chips a second from arrays of
the network's size and from 256 px JPEG files (reading, decoding, shrinking, all views and the
recalibration are in it). Then what a new process needs for one chip, by the clock and in memory:
`paper predict`, and the same with Keras' network.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measure import PAPER, process

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/demo")]

WITH_KERAS = """
import sys; sys.path[:0] = {path!r}
import predictor as benchmark
from paperlib import predictor
model = predictor.load({model!r})
model.network = benchmark.Keras(model)
print([r.labels for r in model.predict_files([{file!r}])])
"""


class Keras:
    """The released network's graph in Keras, in the place of ONNX Runtime's session.

    Its weights are drawn, for they do not change the time.
    """

    def __init__(self, model):
        import keras

        from paperlib.networks import build
        from paperlib.networks.conversions import fold_batch_norm

        config = model.card["network"]
        keys = ("network", "size", "width", "batch_norm", "dense")
        self.network = fold_batch_norm(build.build(**{key: config[key] for key in keys}))
        # XLA takes a minute to compile what TensorFlow's own kernels do as fast
        tensorflow = keras.backend.backend() == "tensorflow"
        self.network.compile(jit_compile=False if tensorflow else "auto")

    def get_inputs(self):
        return []

    def run(self, outputs, given):
        (rows,) = given.values()
        return [self.network.predict_on_batch(rows)]


def jpegs(folder: str, count: int) -> list[Path]:
    """Generated scenes of 256 pixels as JPEG files."""
    from pictures import encode

    from paperlib.chips import scenes

    images = [scenes.scene(i, size=256).image for i in range(min(count, 40))]
    paths = [Path(folder, f"{i}.jpg") for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(encode(images[i % len(images)], "JPEG", quality=95))
    return paths


def throughput(name: str, chips: int, rounds: int) -> None:
    """Chips a second on the one core that this process has."""
    import numpy as np

    from paperlib import predictor

    ours, theirs = predictor.load(name), predictor.load(name)
    theirs.network = Keras(theirs)
    shape = (chips, ours.size, ours.size, 3)
    arrays = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        paths = jpegs(folder, chips)
        tasks = {
            "arrays": lambda model: model.predict(arrays),
            "JPEG files": lambda model: list(model.predict_files(paths, workers=1)),
        }
        for task, run in tasks.items():
            took: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(rounds + 1):  # the first warms up
                for who, model in (("ours", ours), ("theirs", theirs)):
                    began = time.process_time()
                    run(model)
                    took[who].append(time.process_time() - began)
            each = [b / a for a, b in zip(took["ours"][1:], took["theirs"][1:], strict=True)]
            rate = chips / statistics.median(took["ours"][1:])
            print(
                f"{task}, one core: {statistics.median(each):.2f} × Keras on TensorFlow "
                f"({min(each):.2f} to {max(each):.2f}); {rate:.0f} chips a second of the processor",
                flush=True,
            )


def processes(name: str, rounds: int) -> None:
    """What one chip costs in a new process: seconds by the clock and of the processor, memory."""
    with tempfile.TemporaryDirectory() as folder:
        jpegs(folder, 1)
        chip = Path(folder, "0.jpg")
        path = [str(ROOT), str(ROOT / "tests/benchmarks"), str(ROOT / "tests/demo")]
        out = str(Path(folder, "labels.csv"))
        commands = {
            "paper predict": [PAPER[1], "predict", str(chip), "--out", out, "--model", name],
            "with Keras": [WITH_KERAS.format(path=path, model=name, file=str(chip))],
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        found: dict[str, list[tuple[float, float, float]]] = {key: [] for key in commands}
        for _ in range(rounds):
            for key, command in commands.items():
                found[key].append(process(["-c", *command], environment=environment))
    for key, rows in found.items():
        clock, processor, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"one chip, {key}: {clock:.2f} s by the clock, {processor:.2f} s of the processor, "
            f"{memory:.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="planet32")
    parser.add_argument("--chips", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not (child := os.fork()):  # a backend counts the cores once, when it starts
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
        throughput(given.model, given.chips, given.rounds)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
    processes(given.model, given.rounds)


if __name__ == "__main__":
    main()
