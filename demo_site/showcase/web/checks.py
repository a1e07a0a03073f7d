"""System checks: mistakes in the settings are said at start, not at the first upload."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.core.checks import Error, Warning, register


@register()
def limits_fit(app_configs, **kwargs) -> list:
    s = settings.SHOWCASE
    found = []
    if s["MAX_FILE_MB"] > s["MAX_BATCH_MB"]:
        found.append(
            Error(
                "SHOWCASE_MAX_FILE_MB is larger than SHOWCASE_MAX_BATCH_MB",
                hint="one file must fit into a batch",
                id="showcase.E001",
            )
        )
    if s["LOST_SECONDS"] < 3 * s["HEARTBEAT_SECONDS"]:
        found.append(
            Error(
                "SHOWCASE_LOST_SECONDS is less than three heartbeats",
                hint="a busy worker would be taken for a lost one",
                id="showcase.E002",
            )
        )
    if s["MAX_FILES"] + 20 > settings.DATA_UPLOAD_MAX_NUMBER_FILES:
        found.append(
            Error(
                "SHOWCASE_MAX_FILES is above what one request may hold",
                hint=f"at most {settings.DATA_UPLOAD_MAX_NUMBER_FILES - 20}",
                id="showcase.E003",
            )
        )
    return found


#: Kinds of file systems whose locks SQLite cannot rely on, as Linux writes them down.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "glusterfs", "lustre"}


@register()
def database_is_near(app_configs, **kwargs) -> list:
    """SQLite's journal is shared memory: on a network's file system it damages the database."""
    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"] and file_system(Path(database["NAME"])) in _NETWORK:
        return [
            Error(
                "the SQLite database lies on a network file system",
                hint="let SHOWCASE_VAR be a folder of this machine, or DATABASE_URL a PostgreSQL",
                id="showcase.E004",
            )
        ]
    return []


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
    found = []
    if not settings.HTTPS:
        found.append(
            Warning(
                "SHOWCASE_HTTPS is not set",
                hint="behind a proxy with TLS set SHOWCASE_HTTPS=1 and SHOWCASE_PROXIES=1",
                id="showcase.W001",
            )
        )
    database = settings.DATABASES["default"]
    if "sqlite" not in database["ENGINE"] and not os.environ.get("SHOWCASE_SECRET_KEY"):
        found.append(
            Warning(
                "SHOWCASE_SECRET_KEY is not set",
                hint="several machines must have the same one, else each makes its own",
                id="showcase.W003",
            )
        )
    if settings.SHOWCASE["PREDICTOR"]:
        found.append(Warning("SHOWCASE_PREDICTOR replaces the released model", id="showcase.W002"))
    return found
