"""Settings from environment variables: a function per kind of value, a clear line per mistake."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return default if not value else value in ("1", "true", "yes", "on")
    raise ImproperlyConfigured(f"{name}={value!r}: give 1 or 0")


def number(name: str, default: float, *, least: float = 0) -> float:
    value = text(name)
    try:
        result = float(value) if value else float(default)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r}: give a number") from None
    if result < least:
        raise ImproperlyConfigured(f"{name}={value!r}: give {least:g} or more")
    return int(result) if result == int(result) else result


def words(name: str, default: str = "") -> list[str]:
    return [word for word in text(name, default).replace(",", " ").split() if word]


def secret_key(folder: Path) -> str:
    """The key from `SHOWCASE_SECRET_KEY`, else one made at first start and kept beside the data."""
    if key := text("SHOWCASE_SECRET_KEY"):
        return key
    path = folder / "secret_key"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make_key(path)
    key = path.read_text().strip()
    if len(key) < 50:
        raise ImproperlyConfigured(f"{path}: too short for a secret key; delete it to make another")
    return key


def _make_key(path: Path) -> None:
    """Written beside and linked whole: of processes that start together, all read the same key."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    # Created with its mode, so that no moment exists at which others could read it.
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(64))
        os.link(beside, path)
    except FileExistsError:
        pass  # another process was first
    except OSError:  # a file system without links: renamed, unless there is one by now
        if not path.exists():
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
