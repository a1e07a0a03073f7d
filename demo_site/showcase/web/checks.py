"""System checks: mistakes in the settings are said at start, not at the first upload."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.core.checks import Error, Warning, register


@register()
def limits_fit(app_configs, **kwargs) -> list:
    s, most = settings.SHOWCASE, settings.DATA_UPLOAD_MAX_NUMBER_FILES - 20
    mistakes = {
        "E001": (
            s["MAX_FILE_MB"] > s["MAX_BATCH_MB"],
            "SHOWCASE_MAX_FILE_MB is larger than SHOWCASE_MAX_BATCH_MB",
            "one file must fit into a batch",
        ),
        "E002": (
            s["LOST_SECONDS"] < 3 * s["HEARTBEAT_SECONDS"],
            "SHOWCASE_LOST_SECONDS is less than three heartbeats",
            "a busy worker would be taken for a lost one",
        ),
        "E003": (
            s["MAX_FILES"] > most,
            "SHOWCASE_MAX_FILES is above what one request may hold",
            f"at most {most}",
        ),
    }
    return _said(Error, mistakes)


def _said(kind: type, mistakes: dict[str, tuple[bool, str, str]]) -> list:
    return [
        kind(text, hint=hint, id=f"showcase.{number}")
        for number, (made, text, hint) in mistakes.items()
        if made
    ]


#: Kinds of file systems whose locks SQLite cannot rely on, as Linux writes them down.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "glusterfs", "lustre"}


@register()
def database_is_near(app_configs, **kwargs) -> list:
    """SQLite's journal is shared memory: on a network's file system it damages the database."""
    database = settings.DATABASES["default"]
    far = "sqlite" in database["ENGINE"] and file_system(Path(database["NAME"])) in _NETWORK
    hint = "let SHOWCASE_VAR be a folder of this machine, or DATABASE_URL a PostgreSQL"
    return _said(Error, {"E004": (far, "the SQLite database lies on a network file system", hint)})


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system that holds `path`, "" where the system does not tell."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    place = str(path.resolve())
    held = [line for line in lines if f"{place}/".startswith(line[1].rstrip("/") + "/")]
    return max(held, key=lambda line: len(line[1]))[2] if held else ""


@register(deploy=True)
def ready_for_strangers(app_configs, **kwargs) -> list:
    several = "sqlite" not in settings.DATABASES["default"]["ENGINE"]
    mistakes = {
        "W001": (
            not settings.HTTPS,
            "SHOWCASE_HTTPS is not set",
            "behind a proxy with TLS set SHOWCASE_HTTPS=1 and SHOWCASE_PROXIES=1",
        ),
        "W002": (
            bool(settings.SHOWCASE["PREDICTOR"]),
            "SHOWCASE_PREDICTOR replaces the released model",
            "it is for tests",
        ),
        "W003": (
            several and not os.environ.get("SHOWCASE_SECRET_KEY"),
            "SHOWCASE_SECRET_KEY is not set",
            "several machines must have the same one, else each makes its own",
        ),
    }
    return _said(Warning, mistakes)
