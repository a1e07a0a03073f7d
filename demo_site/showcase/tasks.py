"""What the workers are asked to do (django-tasks, database backend)."""

from __future__ import annotations

from django_tasks import task


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


@task(priority=-10)
def draw_views(after: int = 0) -> int:
    """Dehazed copies and transmission maps of chips that have none yet."""
    from .copies import draw_missing

    return draw_missing(after)


@task(priority=10)
def seed_examples() -> int:
    """The example gallery of a fresh site, from generated scenes."""
    from .examples import seed

    return seed()
