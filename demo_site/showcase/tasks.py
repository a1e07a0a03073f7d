"""What the workers are asked to do (django-tasks, database backend).

Each task imports its work when it runs: whoever only queues it, a web process, does not load it.
"""

from __future__ import annotations

from datetime import timedelta

from django.dispatch import receiver
from django.utils import timezone
from django_tasks import task

from . import signals


@task()
def work_on(batch: int) -> str:
    """One slice of work on a batch; queues itself again until the batch is finished."""
    from .work import work

    return work(batch)


@task()
def work_early(batch: int) -> str:
    """Work on what has arrived of a batch while the rest is still being sent."""
    from .work import early

    return early(batch)


@task(priority=signals.COPIES_PRIORITY)
def draw_views(after: int = 0) -> int:
    """Dehazed copies and transmission maps of chips that have none yet."""
    from .copies import draw_missing

    return draw_missing(after)


@task(priority=10)
def seed_examples() -> int:
    """The example gallery of a fresh site, from generated scenes."""
    from .examples import seed

    return seed()


@receiver(signals.batch_waits)
def _queue_batch(batch: int, seconds: float = 0, **_) -> None:
    later = timezone.now() + timedelta(seconds=seconds) if seconds else None
    work_on.using(run_after=later).enqueue(batch)


@receiver(signals.copies_missing)
def _queue_views(after: int = 0, **_) -> None:
    draw_views.enqueue(after)
