"""What goes on here, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from django.utils import timezone

from ..models import Batch, Chip, Prediction, Upload
from . import chip_images, health


def lines() -> Iterator[str]:
    """One metric after the other; counts are of what is there, not of what has ever been."""
    states = dict.fromkeys((name for name, _ in Batch._meta.get_field("state").choices), 0)
    states |= Batch.objects.order_by().values_list("state").annotate(Count("pk"))
    for state, count in states.items():
        yield f'showcase_batches{{state="{state}"}} {count}'
    oldest = Batch.objects.filter(state="queued").aggregate(at=Min("queued_at"))["at"]
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0
    yield f"showcase_queue_seconds {max(waited, 0):.1f}"
    alive = list(health.alive())
    yield f"showcase_workers {len(alive)}"
    yield f"showcase_workers_ready {sum(worker.ready for worker in alive)}"
    yield f"showcase_workers_unprotected {sum(bool(worker.unprotected) for worker in alive)}"
    yield f"showcase_chips {Chip.objects.count()}"
    yield f"showcase_predictions {Prediction.objects.count()}"
    copies = Upload.objects.exclude(copy="").aggregate(count=Count("pk"), size=Sum("size"))
    yield f"showcase_upload_copies {copies['count']}"
    yield f"showcase_upload_bytes {copies['size'] or 0}"
    yield f"showcase_uploads_to_draw {chip_images.waiting().count()}"
