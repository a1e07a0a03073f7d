"""What a whole process takes, and the quickest of several calls."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PAPER = ["-c", "from paperlib.cli import main; main()"]  # the command, of the library on the path
#: A process takes over the peak of memory of the one that starts it: so a small one does.
_LAUNCH = """
import os, sys, time
began = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, used = os.wait4(child, 0)
clock = time.perf_counter() - began
print(clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, status)
"""


def process(
    arguments: list[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[float, float, float]:
    """Python with these arguments: seconds by the clock, of the processor, and peak memory in MB.

    environment  in place of this process's

    Ends the benchmark where the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCH, sys.executable, *arguments],
        env=environment, cwd=cwd, capture_output=True, text=True, check=True,
    )  # fmt: skip
    clock, processor, memory, status = map(float, done.stdout.split())
    if status:
        sys.exit(f"{' '.join(arguments)}: failed")
    return clock, processor, memory


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the quickest of `times` calls."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
