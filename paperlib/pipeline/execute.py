"""One notebook through papermill: its own kernel, a time limit, and a copy that is the same twice.

Papermill is lenient where a paper may not be: it warns about unknown parameters, takes
`sys.exit()` for the end of a notebook, and stamps times and paths into what it writes. Here each of
these is an error or is taken out.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

from ..utils import backend
from ..utils.errors import PaperError
from . import translation
from .notebooks import Notebook

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,16}\b")
_STYLER = re.compile(r"\bT_([0-9a-f]{5})(?![0-9a-zA-Z])")
_WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookFailed(PaperError):
    """A notebook that did not end well; `tail` holds the last lines of its error."""

    def __init__(self, problem: str, cure: str, tail: list[str]) -> None:
        super().__init__(problem, cure)
        self.tail = tail


@dataclass(frozen=True)
class Executed:
    """What came of one notebook: the executed copy, seconds, and peak memory of kernel and
    children in MB (sampled five times a second)."""

    node: nbformat.NotebookNode
    seconds: float
    peak_mb: int


@dataclass
class Watcher:
    """Callbacks of a running notebook; each may be called from another thread.

    cell    (number from 1, how many code cells)
    text    a last line of progress that the notebook wrote
    kernel  process id of the kernel, once it runs
    """

    cell: Callable[[int, int], None] = lambda number, total: None
    text: Callable[[str], None] = lambda line: None
    kernel: Callable[[int], None] = lambda pid: None


def execute(
    notebook: Notebook,
    parameters: Mapping[str, Any],
    *,
    copy: Path,
    limit: float,
    environment: Mapping[str, str],
    watcher: Watcher | None = None,
) -> Executed:
    """Run every cell of a notebook in its own folder, in a new kernel of this interpreter.

    parameters   name -> literal, set after the `parameters` cell
    copy         where the executed copy lies when this ends, well or not
    limit        seconds for the whole notebook
    environment  the kernel's environment

    Raises `NotebookFailed` for an error in a cell, a cell that was not reached, a kernel that died
    or did not start, and a run past `limit`; `PaperError` for parameters it does not have.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    # Papermill and nbclient also log each failure; what is raised here says it in one line.
    logging.getLogger("papermill").setLevel(logging.CRITICAL + 1)
    watcher = watcher or Watcher()
    notebook.check_parameters(parameters)
    copy.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    memory, log = _Memory(), copy.with_suffix(".log")
    code = [cell.id for cell in notebook.node.cells if cell.cell_type == "code"]

    def on_cell(cell: nbformat.NotebookNode, **_: Any) -> None:
        if cell.id in code:
            watcher.cell(code.index(cell.id) + 1, len(code))

    def on_kernel(pid: int) -> None:
        memory.follow(pid)
        watcher.kernel(pid)

    def remaining(_: nbformat.NotebookNode) -> int:
        return max(1, round(start + limit - time.monotonic()))

    def failed(what: str, tail: list[str]) -> NotebookFailed:
        return NotebookFailed(f"{notebook.name} failed: {what}", f"read {copy}", tail)

    try:
        node = papermill.execute_notebook(
            str(translation.source(notebook.path, parameters, copy)),
            str(copy),
            parameters=dict(parameters),
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            start_timeout=120,
            kernel_manager_class=_kernel_manager(environment, notebook.path.parent, log, on_kernel),
            timeout_func=remaining,
            stderr_file=_LastLine(watcher.text),
            on_cell_start=on_cell,
            record_timing=False,
            store_widget_state=False,
        )
    except papermill.PapermillExecutionError as error:
        lines = _ANSI.sub("", "\n".join(error.traceback)).splitlines()
        what = f"In [{error.exec_count}]: {error.ename}: {_first_line(error.evalue)}"
        raise failed(what, lines[-14:]) from error
    except CellTimeoutError as error:
        what = f"not done after its limit of {limit / 60:g} minutes (paper.minutes)"
        raise failed(what, []) from error
    except DeadKernelError as error:
        what = "its kernel died: killed, or out of memory"
        raise failed(f"{what} (peak {memory.peak_mb} MB)", _last_lines(log)) from error
    except RuntimeError as error:  # nbclient: the kernel did not answer in start_timeout
        raise failed(
            f"its kernel did not start: {_first_line(str(error))}", _last_lines(log)
        ) from error
    finally:
        memory.stop()
    for number, cell in enumerate(node.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None or any(o.output_type == "error" for o in cell.outputs):
            raise failed(f"it stopped at cell {number} without an error (sys.exit?)", [])
    return Executed(node, time.monotonic() - start, memory.peak_mb)


def kernel_environment(cache: Path, **more: str) -> dict[str, str]:
    """This process's environment, without what makes figures depend on the user's settings."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MPLBACKEND", "PYTHONSTARTUP"}
    }
    for name in ("PAPER_IMAGENET", "PAPER_WEIGHTS"):  # notebooks run in a folder of their own
        if given := environment.get(name):
            environment[name] = str(Path(given).absolute())
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **environment,
        "KERAS_BACKEND": backend.name(),
        "PAPER_BACKEND": backend.name(),
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "MATPLOTLIBRC": str(_matplotlib_defaults()),
        "IPYTHONDIR": str(cache / "ipython"),
        **more,
    }


def _matplotlib_defaults() -> Path:
    """Matplotlib's own settings file: named, it goes before a user's, and fonts stay cached."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("mpl-data") / "matplotlibrc"


def normalise(node: nbformat.NotebookNode, replace: Mapping[str, str]) -> nbformat.NotebookNode:
    """The executed copy without times, random ids, memory addresses, progress and folder names.

    node     is changed and returned
    replace  text -> what stands for it in sources and outputs (absolute folders, say)

    Progress bars and warnings go to stderr; they hold times, and are no result, so they are left
    out (a failed notebook is kept as it is).
    """

    styled: dict[str, str] = {}  # pandas gives every styled table a random id

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for old, new in replace.items():
                value = value.replace(old, new)
            value = _STYLER.sub(
                lambda m: styled.setdefault(m[0], f"T_{len(styled) + 1:05d}"), value
            )
            return _ADDRESS.sub("at 0x…", value)
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value

    for key in ("papermill", "widgets"):
        node.metadata.pop(key, None)
    for cell in node.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
            cell.source = clean(cell.source)
        if cell.cell_type != "code":
            continue
        kept: list[nbformat.NotebookNode] = []
        for output in cell.outputs:
            if output.output_type == "stream":
                if output.name == "stderr":
                    continue
                output.text = clean(output.text)
                if kept and kept[-1].output_type == "stream":
                    kept[-1].text += output.text  # how a stream was cut up depends on timing
                    continue
            else:
                output.data.pop(_WIDGET, None)  # a widget needs its kernel, and its id is random
                for kind, content in output.data.items():
                    if kind.startswith("text/") or kind == "image/svg+xml":
                        output.data[kind] = clean(content)
            kept.append(output)
        cell.outputs = kept
    return node


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _last_lines(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return text.splitlines()[-14:]


def _kernel_manager(
    environment: Mapping[str, str], folder: Path, log: Path, on_start: Callable[[int], None]
) -> type:
    """A kernel manager class that starts this interpreter's own kernel in `environment`.

    The kernel begins in `folder`. (Papermill would move this process there, and of two notebooks at
    once the second to end would leave it there.) A kernelspec of the user's own may be called
    python3 as well and start another Python; the command line is therefore fixed here.
    """
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            module = [sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f"]
            return [*module, os.path.realpath(self.connection_file), *(extra_arguments or [])]

        async def start_kernel(self, **kwargs: Any) -> None:
            with open(log, "wb") as handle:  # what libraries print around Python ends up here
                options = {"env": dict(environment), "cwd": str(folder)}
                options |= {"stdout": handle, "stderr": handle}
                await super().start_kernel(**{**kwargs, **options})
            on_start(self.provisioner.pid)

    return ThisPython


class _LastLine:
    """A file that only hands on the last whole or redrawn line, as progress bars write them."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell

    def write(self, text: str) -> None:
        lines = [line.strip() for line in re.split(r"[\r\n]", _ANSI.sub("", text))]
        if lines := [line for line in lines if line]:
            self.tell(lines[-1])

    def flush(self) -> None:
        pass


class _Memory:
    """Peak resident memory of a process and its children, in MB."""

    def __init__(self) -> None:
        self.peak_mb = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def _sample(self, pid: int) -> None:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            while not self._stop.wait(0.2):
                total = 0
                for member in (process, *process.children(recursive=True)):
                    with suppress(psutil.Error):
                        total += member.memory_info().rss
                self.peak_mb = max(self.peak_mb, round(total / 1e6))

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
