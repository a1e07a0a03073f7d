"""System checks: mistakes in the settings are said at start, not at the first upload."""

from __future__ import annotations

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
    if settings.SHOWCASE["PREDICTOR"]:
        found.append(Warning("SHOWCASE_PREDICTOR replaces the released model", id="showcase.W002"))
    return found
