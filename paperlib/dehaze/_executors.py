"""Who works on the tiles or files of `dehaze_scene`: this thread, several, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from ..utils.errors import PaperError


class Pool:
    """Workers."""

    def map(
        self,
        function: Callable,
        job: Any,
        items: list,
        extra: Any,
        lost: Callable[[str], Any] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (item, function(job, item, extra)) as they come, few at a time.

        lost  the result of an item whose workers died, say of the item; None where that is an error
        """
        raise NotImplementedError


class Alone(Pool):
    def map(self, function, job, items, extra, lost=None):
        for item in items:
            yield item, function(job, item, extra)


class Threads(Pool):
    def __init__(self, executor: ThreadPoolExecutor, threads: int) -> None:
        self.executor, self.threads = executor, threads

    def map(self, function, job, items, extra, lost=None):
        waiting, rest = {}, iter(items)
        try:
            while True:
                for item in rest:
                    waiting[self.executor.submit(function, job, item, extra)] = item
                    if len(waiting) >= 2 * self.threads:
                        break
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        finally:
            for future in waiting:
                future.cancel()


class Cluster(Pool):
    """The workers of a Dask scheduler; a task whose worker dies is given to another."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, function, job, items, extra, lost=None):
        from distributed import as_completed

        ahead = 2 * max(1, sum(self.client.nthreads().values()))
        rest = iter(items)
        queue, names = as_completed(loop=self.client.loop), {}

        def submit() -> None:
            for item in rest:
                future = self.client.submit(function, job, item, extra, pure=False)
                names[future.key] = item
                queue.add(future)
                return

        for _ in range(ahead):
            submit()
        for future in queue:
            item = names.pop(future.key)
            try:
                result = future.result()
            except PaperError:
                raise
            except Exception as error:
                if lost is None:
                    raise PaperError(f"tile {item}: {error}", "see the workers' logs") from error
                result = lost(" ".join(str(error).split()))
            submit()
            yield item, result


@contextmanager
def pool_of(scheduler: str | None, threads: int) -> Iterator[Pool]:
    if scheduler is None:
        if threads == 1:
            yield Alone()
            return
        with ThreadPoolExecutor(threads) as executor:
            yield Threads(executor, threads)
        return
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PaperError(
            f"no Dask scheduler answers at {scheduler}",
            "start one with `dask scheduler` and workers with `dask worker ADDRESS`",
        ) from error
    try:
        if not client.nthreads():
            raise PaperError(f"the scheduler at {scheduler} has no workers", "start `dask worker`")
        yield Cluster(client)
    finally:
        client.close()
