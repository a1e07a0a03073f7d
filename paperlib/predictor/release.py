"""A release's folder, read and written: the ONNX network and its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils import files
from ..utils.errors import PaperError
from ..utils.system import cores
from .model import Predictor

if TYPE_CHECKING:
    import onnxruntime

RELEASED = Path(__file__).resolve().parents[1] / "released"
NETWORK, CARD = "network.onnx", "card.json"


def names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.parent.name for path in RELEASED.glob(f"*/{CARD}"))


def load(name: str | Path = "planet32", *, threads: int = 0) -> Predictor:
    """A released model.

    Parameters
    ----------
    name : str or Path
        One of `names()`, or any release's folder.
    threads : int
        Threads that compute; 0: one for each core that the process may use.

    Returns
    -------
    Predictor

    Raises
    ------
    PaperError
        Where there is none, it is damaged, or it is a release of an earlier version.
    """
    folder = RELEASED / str(name) if str(name) in names() else Path(name)
    if not (folder / CARD).is_file():
        raise PaperError(
            f"there is no model {str(name)!r}",
            f"give a release's folder, or one of: {', '.join(names()) or 'none comes along'}",
        )
    try:
        card = files.read_json(folder / CARD)
        if NETWORK not in card["sha256"]:
            raise PaperError(
                f"{folder} holds a release of an earlier version, without {NETWORK}",
                f"make it again from its training run: paper release --profile {folder.name}",
            )
        for file, digest in card["sha256"].items():
            if files.sha256(folder / file) != digest:
                raise ValueError(f"{file} is damaged")
        known = folder.name if folder.parent == RELEASED else str(folder.resolve())
        return Predictor(_session(folder / NETWORK, threads), card, known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PaperError(
            f"{folder}: the model cannot be loaded ({error})", "get it again"
        ) from error


def save(
    folder: str | Path,
    network: bytes,
    *,
    tags: Sequence[str],
    thresholds: np.ndarray,
    label_thresholds: np.ndarray | None = None,
    recalibrator: Any = None,
    card: dict[str, Any] | None = None,
    views: int = 1,
) -> Path:
    """Write a release; what `load` reads.

    Parameters
    ----------
    folder : str or Path
    network : bytes
        An ONNX graph with one input `(N, S, S, 3)` uint8, RGB, and one output `(N, L)`: see
        `networks.onnx_export`.
    tags : sequence of str
        The L label names.
    thresholds, label_thresholds : ndarray of shape (L,)
        On the recalibrated probabilities: for the mean-over-chips F2, and for each label's own.
    recalibrator : ridge.LabelRecalibrator, optional
        Fitted.
    card : dict, optional
        What a reader should know: data, split, scores, limits, licence …
    views : int
        Symmetries averaged by default.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        Where network, tags and thresholds are not of the same number of labels.
    """
    folder, tags = Path(folder), list(tags)
    session = _session(network, 1)
    taken, given = session.get_inputs()[0].shape, session.get_outputs()[0].shape
    if np.shape(thresholds) != (len(tags),) or given[-1] != len(tags):
        raise ValueError("network, tags and thresholds: not the same number of labels")
    with files.replacing(folder / NETWORK) as partial:
        partial.write_bytes(network)
    numbers = None
    if recalibrator is not None and recalibrator.kind != "none":
        numbers = recalibrator.to_dict()
    files.write_json(
        folder / CARD,
        {
            **(card or {}),
            "tags": tags,
            "size": int(taken[1]),
            "thresholds": _by_tag(tags, thresholds),
            "label_thresholds": _by_tag(tags, label_thresholds),
            "recalibration": numbers,
            "views": views,
            "sha256": {NETWORK: files.sha256(folder / NETWORK)},
        },
    )
    return folder


def _by_tag(tags: Sequence[str], values: np.ndarray | None) -> dict[str, float] | None:
    if values is None:
        return None
    return {tag: float(value) for tag, value in zip(tags, values, strict=True)}


def _session(network: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime with the network loaded; `ValueError` for bytes that are none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3  # errors
    # threads that wait sleep, for others read images meanwhile
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = network if isinstance(network, bytes) else str(network)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own errors have no common class
        raise ValueError(str(error).splitlines()[0]) from error
