"""The database: batches of uploads, chips by content, predictions by chip and model version."""

from .batches import Batch, ModelVersion, Upload
from .chips import RETIRED, Chip, Flag, Placement, Prediction
from .fields import token
from .site import ApiKey, Count, Worker

__all__ = [
    "RETIRED",
    "ApiKey",
    "Batch",
    "Chip",
    "Count",
    "Flag",
    "ModelVersion",
    "Placement",
    "Prediction",
    "Upload",
    "Worker",
    "token",
]
