"""Structured logs: one JSON object a line, with whatever `extra=` was given."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# The address of a batch or chip is the right to see it, so only its beginning is written: enough to
# know it again, useless to go there. Django and gunicorn write paths of their own accord.
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9])((?:(?:batch|chip)(?:es|s)?/(?:[\w-]{2}/)?|\bof=)[\w-]{4})[\w-]{8,}"
)


def masked(text: str) -> str:
    """`/batch/<token>/` and `/chip/<key>/`, wherever they stand, without most of their letters."""
    return _ADDRESS.sub(r"\1…", text)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry |= {k: v for k, v in vars(record).items() if k not in _USUAL and k != "request"}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        # Newlines in values are escaped: a visitor's text never begins a line of its own.
        return masked(json.dumps(entry, ensure_ascii=False, default=str))
