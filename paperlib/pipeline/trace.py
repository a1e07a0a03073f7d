"""What a notebook recorded while it ran: chips read, training runs used and of which code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_trace(trace: Path) -> list[dict[str, Any]]:
    """What `Project` noted while the notebook ran: chips read, training runs used."""
    if not trace.is_file():
        return []
    return [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]


def other_code(told: list[dict[str, Any]]) -> dict[str, str]:
    """Training run -> why it is of other code, of those that a notebook found to be so."""
    return {t["run"]: t["other_code"] for t in told if t.get("other_code")}
