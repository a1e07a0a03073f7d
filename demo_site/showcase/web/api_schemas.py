"""What the API answers, object by object; names and states are for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ninja import Field, Schema


class Problem(Schema):
    detail: str


class Invalid(Schema):
    """Which part of the request does not fit the description."""

    detail: list[dict]


class TakenFile(Schema):
    name: str
    accepted: bool
    reason: str = ""


class BatchStatus(Schema):
    token: str
    url: str = Field(description="The batch's page for people")
    state: Literal["receiving", "queued", "running", "done", "failed", "cancelled"]
    finished: bool
    private: bool
    files: int
    files_failed: int
    chips: int
    labelled: int
    known: int = Field(description="Labelled without a new prediction: the same content was known")
    failed: int
    percent: int | None = None
    batches_ahead: int
    seconds_left: int | None = None
    created: datetime
    trouble: str = ""


class Accepted(BatchStatus):
    taken: list[TakenFile]


class ChipResult(Schema):
    image_name: str = Field(description="As in the csv; numbered where files have the same name")
    chip: str
    row: int
    column: int
    state: Literal["labelled", "failed", "hidden"]
    reason: str
    tags: list[str]
    corrected: bool = Field(description="The tags are those of a correction that staff accepted")
    probability: dict[str, float]


class FailedFile(Schema):
    name: str
    reason: str


class Results(Schema):
    chips: list[ChipResult]
    failed_files: list[FailedFile] = Field(description="At most 500, on the first page only")
    next: int | None = Field(None, description="Give it as `after` for the next page")
    next_failed: int | None = Field(
        None, description="Give it as `failed_after` for further failed files"
    )


class ChipInfo(Schema):
    chip: str
    name: str
    width: int
    height: int
    tags: list[str]
    corrected: bool
    confidence: float
    probability: dict[str, float]
    model: str


class Label(Schema):
    name: str
    english: str
    chinese: str
    group: Literal["weather", "common", "rare"]


class ModelInfo(Schema):
    name: str
    fingerprint: str
    card: dict
    thresholds: dict[str, float]
