"""What several tests share: the shared data folder, and a quiet, quick, deterministic set-up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# One thread per process, those that tests start included: the workers share the cores, and small
# arrays lose more to waking threads than they win.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
             "TF_NUM_INTEROP_THREADS"):  # fmt: skip
    os.environ.setdefault(name, "1")

# jsonschema would build a grammar of internationalised addresses, seconds in every worker, for a
# check that no test needs; None makes that import fail, which it allows for.
if "jsonschema" not in sys.modules:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import jsonschema  # noqa: F401

    del sys.modules["rfc3987_syntax"]

from hypothesis import settings  # noqa: E402

# The same examples every time, and no limit of time for one, which a busy machine would break.
# PAPER_EXAMPLES asks for that many new ones instead.
settings.register_profile("quick", derandomize=True, deadline=None)
settings.register_profile(
    "search", deadline=None, max_examples=int(os.environ.get("PAPER_EXAMPLES", "100"))
)
settings.load_profile("search" if "PAPER_EXAMPLES" in os.environ else "quick")

ROOT = Path(__file__).resolve().parents[1]
# The files that take longest, longest first: a worker that began with one at the end would work
# alone while the others wait.
LONGEST = (
    "test_notebooks",
    "test_dehaze_scene",
    "test_train",
    "test_processes",
    "test_browser",
    "test_deployment",
    "test_backends",
    "test_runner",
    "test_faults",
    "test_dark_channel_browser",
    "test_derivation_page",
    "test_binder",
    "test_plots",
    "test_networks",
    "test_dehaze",
    "test_predictor",
    "test_grids",
    "test_losses",
    "test_work",
    "test_dark_channel",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one worker more than cores, as tests of whole sites wait more than they work."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) + 1
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the longest files to the front; `--no-loadscope-reorder` keeps xdist from sorting."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with `data/` and `weights/` beside the checkout; `PAPER_SHARED` names another."""
    folder = Path(os.environ.get("PAPER_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder / 'data'} is not there (PAPER_SHARED names its parent)")
    return folder


@pytest.fixture(scope="module")
def cache_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder that the tests of one module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path / "cache"))
