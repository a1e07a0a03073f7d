"""The showcase under test: its own data folder, the planted predictor, pictures made here."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SITE = HERE.parents[1] / "demo_site"

pytest.importorskip("django", reason="the extra `demo` is not installed")

for folder in (str(SITE), str(HERE)):
    if folder not in sys.path:
        sys.path.insert(0, folder)

for name in [name for name in os.environ if name.startswith("SHOWCASE_")]:
    del os.environ[name]  # a developer's own settings do not change what is tested
os.environ.pop("DATABASE_URL", None)
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SHOWCASE_VAR": tempfile.mkdtemp(prefix="showcase-test-"),
    "SHOWCASE_LOOPBACK": "1",
    "SHOWCASE_PREDICTOR": "planted.load",
    "SHOWCASE_LOG_LEVEL": "ERROR",
    "SHOWCASE_UPLOADS_PER_HOUR": "0",
}

import django  # noqa: E402

django.setup()

from django.conf import settings as django_settings  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.utils import translation  # noqa: E402
from showcase.decoder.client import Decoder  # noqa: E402

DECODER = Decoder()  # of all workers in this process


@pytest.fixture(scope="session", autouse=True)
def _reader_ends():
    """The decoder processes of this session end with it."""
    yield
    from showcase.services import chip_images

    chip_images.close()
    DECODER.close()


@pytest.fixture(autouse=True)
def _own_files(tmp_path, settings):
    """Each test has its own file store, and the model is loaded anew."""
    from showcase import storage
    from showcase.services import health, predictor, similar

    store = django_settings.STORAGES["default"]
    options = {**store["OPTIONS"], "location": str(tmp_path / "files")}
    settings.STORAGES = {**django_settings.STORAGES, "default": {**store, "OPTIONS": options}}
    settings.SHOWCASE = dict(django_settings.SHOWCASE)
    predictor.forget()
    storage._away_until = health._last["until"] = 0.0
    similar._held["until"] = 0.0
    translation.activate("en")  # a page in Chinese leaves its language to this thread


class Showcase:
    """Shortcuts of the tests: send files, let a worker work, look at the batch."""

    def __init__(self, client):
        self.client = client

    def send(self, files, **fields):
        """`[(name, bytes)]` through the form without JavaScript; the response."""
        sent = [SimpleUploadedFile(name, data) for name, data in files]
        return self.client.post("/", {"files": sent, **fields})

    def batch(self, files, **fields):
        """Send files and hand back their batch, not worked on yet."""
        from showcase.models import Batch

        before = set(Batch.objects.values_list("pk", flat=True))
        response = self.send(files, **fields)
        assert response.status_code == 302, response.content[:500]
        return Batch.objects.exclude(pk__in=before).get()

    def slice(self, batch, worker: str = "tests") -> str:
        """One slice of work, as a worker of that name does it; what became of the batch."""
        from showcase.models import Batch
        from showcase.services import predictor
        from showcase.worker import label_batch
        from showcase.worker.lease import take

        Batch.objects.filter(pk=batch.pk).update(not_before=None)  # no test waits
        try:
            version = predictor.load()[1]
        except predictor.NoModel:
            version = None
        lease = take(worker, version)
        if lease is None:
            return "nothing to do" if version else "no model"
        assert lease.batch.pk == batch.pk
        state = label_batch.work(lease, DECODER, threading.Event())
        batch.refresh_from_db()
        return state

    def work(self, batch):
        """Do all its slices here and now."""
        for _ in range(50):
            self.slice(batch)
            batch.refresh_from_db()
            if batch.state != "queued":
                break
        return batch

    def run(self, files, **fields):
        """Send files, work, make the gallery's pictures, and hand back the finished batch."""
        batch = self.work(self.batch(files, **fields))
        self.draw()
        return batch

    def draw(self, *, views: bool = False) -> None:
        """What a worker does when no batch waits; the dehazed copies only with `views`."""
        from showcase.services import chip_images

        while chip_images.waiting().exists():
            chip_images.draw_some(DECODER)
        while chip_images.without_source().exists():
            chip_images.draw_some(DECODER)
        while views and chip_images.undrawn().exists():
            chip_images.draw_some(DECODER)

    def sweep(self) -> None:
        """What a worker tidies away in the course of a day."""
        from showcase.worker import housekeeping

        housekeeping.sweep()
        housekeeping.tidy()
        housekeeping.drop_orphans(minutes=-1)

    def stored(self) -> list[str]:
        """Every file in the store, as names."""
        root = Path(django_settings.STORAGES["default"]["OPTIONS"]["location"])
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


@pytest.fixture
def client(client):
    """What a view raises is answered as visitors are; pytest shows the log with its trace."""
    client.raise_request_exception = False
    return client


@pytest.fixture
def showcase(client, db) -> Showcase:
    return Showcase(client)


@pytest.fixture
def staff(django_user_model, db):
    """Somebody who may do all that the site's own pages let staff do."""
    from django.contrib.auth.models import Permission

    found = django_user_model.objects.create_user(
        "keeper", password="a long password", is_staff=True
    )
    found.user_permissions.set(Permission.objects.filter(content_type__app_label="showcase"))
    return found
