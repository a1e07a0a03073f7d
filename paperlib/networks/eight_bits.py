"""An ONNX graph quantised to 8 bits, by ONNX Runtime's own static quantisation.

Weights become whole numbers with a scale for each output channel, and what flows between the layers
whole numbers with a scale and a zero for each tensor: the range that it took on calibration chips.
Krishnamoorthi 2018, sections 2 and 3.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .onnx_export import INPUT
from .views import symmetries

if TYPE_CHECKING:
    import onnx

_BATCH = 32  # calibration chips in one call
_FLOAT = "BatchNormalization"


def quantised(graph: onnx.ModelProto, chips: np.ndarray, views: int = 1) -> onnx.ModelProto:
    """The graph with 8-bit weights and activations, its input and output unchanged.

    Parameters
    ----------
    graph : onnx.ModelProto
        Of `onnx_export.to_onnx`.
    chips : ndarray of shape (N, S, S, 3), uint8
        Training chips, a hundred or more, on which the ranges are measured: from the least value to
        the largest. Never chips that a score is reported on.
    views : int
        How many of the eight symmetries of each chip are measured: as many as are averaged at
        prediction.

    Returns
    -------
    onnx.ModelProto
        Equal graphs and chips give equal graphs.

    Raises
    ------
    ValueError
        Without chips.

    Notes
    -----
    Activations are unsigned and weights signed: ONNX Runtime has its fastest kernels for this pair.
    Weights take seven of the eight bits, from −64 to 64: processors with AVX2 alone add products in
    16 bits, where full weights would saturate, and labels shall not depend on the processor.
    """
    import onnx
    from onnxruntime import quantization

    if not len(chips):
        raise ValueError("chips: ranges cannot be measured without any")
    seen = symmetries(chips, views).reshape(-1, *chips.shape[1:])

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.at = 0

        def get_next(self):
            part = seen[self.at : self.at + _BATCH]
            self.at += _BATCH
            return {INPUT: np.ascontiguousarray(part)} if len(part) else None

    logger = logging.getLogger()  # the quantisation writes a warning of its own to the root logger
    level = logger.level
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "quantised.onnx")
        logger.setLevel(logging.ERROR)
        try:
            quantization.quantize_static(
                onnx.shape_inference.infer_shapes(graph),
                target,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                # one scale for all channels of a normalisation would be coarse, and gains nothing
                nodes_to_exclude=[n.name for n in graph.graph.node if n.op_type == _FLOAT],
            )
        finally:
            logger.setLevel(level)
        made = onnx.load(target)
    del made.graph.value_info[:]  # ONNX Runtime infers them again; half the graph's text
    return made
