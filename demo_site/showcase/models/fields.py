"""What several tables share."""

from __future__ import annotations

import secrets


def token() -> str:
    """128 random bits: an address nobody can guess."""
    return secrets.token_urlsafe(16)


def choices(machine) -> list[tuple[str, str]]:
    return [(state.name, state.name) for state in machine.states]
