"""Files of a form go into the store, one after the other, counted as they arrive.

So a request holds one open file, however many it brings, and the limit on its size is met before
its end. Files are taken by the views of `TAKING` only; the form of any other page is small.
"""

from __future__ import annotations

import hashlib
import tempfile

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

from .. import storage
from ..limits import limits

TAKING = ("home", "upload_files", "api-1:upload", "api-1:predict")  # names of views
SMALL = 1_000_000  # bytes of any other request
HEADS = 1_000_000  # bytes that the headers of the parts come to at most


def takes_files(request) -> bool:
    match = request.resolver_match
    return bool(match) and match.view_name in TAKING


def most(request) -> int:
    """Bytes of files that a request may bring."""
    return limits().batch_bytes if takes_files(request) else SMALL


class StoredFile(UploadedFile):
    """A file in the store; deleted with the request that brought it, unless somebody took it."""

    def __init__(self, name: str | None, kind: str | None, size: int, sha256: str, copy: str):
        super().__init__(None, name, kind, size)
        self.sha256, self.copy, self.taken = sha256, copy, False

    def close(self) -> None:
        if not self.taken:
            storage.remove([self.copy])
            self.copy = ""


def stored(name: str, kind: str, data: bytes) -> StoredFile:
    """A file of the site's own in the store, as if a visitor had sent it."""
    copy = storage.new_copy()
    storage.write(copy, data)
    return StoredFile(name, kind, len(data), hashlib.sha256(data).hexdigest(), copy)


class IntoTheStore(FileUploadHandler):
    """Writes each file under a random name; one that is too large is counted, not stored."""

    def __init__(self, request=None):
        super().__init__(request)
        self.seen, self.file = 0, None
        self.takes = request is not None and takes_files(request)
        self.most = most(request) if request is not None else SMALL

    def new_file(self, *args, **kwargs):
        super().new_file(*args, **kwargs)
        if not self.takes:
            raise SkipFile
        if self.seen == 0:
            storage.demand_room()
        self.copy, self.digest, self.size = storage.new_copy(), hashlib.sha256(), 0
        folder = settings.FILE_UPLOAD_TEMP_DIR
        self.file = tempfile.SpooledTemporaryFile(2**20, dir=folder)  # noqa: SIM115  closed below

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.seen += len(raw_data)
        self.size += len(raw_data)
        self.request.bytes_taken = self.seen  # what the address has used (`middleware.Bodies`)
        try:
            if self.seen > self.most:
                raise RequestDataTooBig("the upload is larger than a batch may be")
            if self.size <= limits().file_bytes:
                self.digest.update(raw_data)
                self.file.write(raw_data)
        except BaseException:
            self.file.close()
            raise

    def file_complete(self, file_size: int) -> StoredFile:
        copy = ""
        try:
            if 0 < self.size <= limits().file_bytes:
                self.file.seek(0)
                storage.write(self.copy, self.file, sync=True)  # the visitor is told so
                copy = self.copy
        finally:
            self.file.close()
        name, kind = self.file_name, self.content_type
        return StoredFile(name, kind, self.size, self.digest.hexdigest(), copy)
