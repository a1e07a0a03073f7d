"""Who works on the parts of a large job: threads, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .errors import PaperError


@dataclass(frozen=True)
class Pool:
    """An executor, and how many tasks it is given at a time: there may be thousands."""

    executor: Executor
    ahead: int
    logs: str | None = None  # where to look for what happened to a worker, None for threads

    def map(
        self,
        function: Callable,
        job: Any,
        items: list,
        extra: Any,
        lost: Callable[[str], Any] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (item, function(job, item, extra)) as they come.

        lost  the result of an item whose workers died, say of the item; None where that is an error
        """
        waiting, rest = {}, iter(items)
        try:
            while True:
                for item in islice(rest, self.ahead - len(waiting)):
                    waiting[self.executor.submit(function, job, item, extra)] = item
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    item = waiting.pop(future)
                    yield item, self._result(future, item, lost)
        finally:
            for future in waiting:
                future.cancel()

    def _result(self, future: Any, item: Any, lost: Callable[[str], Any] | None) -> Any:
        try:
            return future.result()
        except Exception as error:
            if isinstance(error, PaperError) or self.logs is None:
                raise
            if lost is None:
                raise PaperError(f"part {item}: {error}", self.logs) from error
            return lost(" ".join(str(error).split()))


@contextmanager
def pool_of(scheduler: str | None, threads: int) -> Iterator[Pool]:
    """`threads` of this process, or all those of the workers of a Dask scheduler."""
    if scheduler is None:
        with ThreadPoolExecutor(threads) as executor:
            yield Pool(executor, 2 * threads)
        return
    from distributed import Client  # half a second

    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PaperError(
            f"no Dask scheduler answers at {scheduler}",
            "start one with `dask scheduler` and workers with `dask worker ADDRESS`",
        ) from error
    with client:
        cores = sum(client.nthreads().values())
        if not cores:
            raise PaperError(f"the scheduler at {scheduler} has no workers", "start `dask worker`")
        # a task whose worker dies is given to another
        yield Pool(client.get_executor(pure=False), 2 * cores, "see the workers' logs")
