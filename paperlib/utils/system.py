"""The machine: how many cores this process may use, its hardware, its browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser() -> str | None:
    """A Chromium on this machine, or None; `PAPER_BROWSER` names another one. None is fetched."""
    import shutil  # a tenth of what importing paperlib.dehaze takes

    if given := os.environ.get("PAPER_BROWSER"):
        return shutil.which(given)
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def cores() -> int:
    """Cores that this process may use: those of its affinity, where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GB, system, and NVIDIA cards if any."""
    import platform  # these three take two thirds of what importing paperlib.dehaze did
    import subprocess

    import psutil

    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
    }
    try:
        cards = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        found["gpus"] = cards.stdout.split("\n")[:-1]
    except (OSError, subprocess.SubprocessError):
        found["gpus"] = []
    return found


def _processor() -> str:
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        if sys.platform == "darwin":
            import subprocess

            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
