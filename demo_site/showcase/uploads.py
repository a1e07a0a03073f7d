"""A ceiling on the request itself: bytes are counted as they arrive, before anything is kept.

Files are taken by the views of `TAKING` only; the form of any other page is small.
"""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from .limits import limits

TAKING = ("home", "upload_files", "api-1:upload")  # names of views
SMALL = 1_000_000  # bytes of any other request
HEADS = 1_000_000  # bytes that the headers of the parts come to at most


def takes_files(request) -> bool:
    match = request.resolver_match
    return bool(match) and match.view_name in TAKING


def most(request) -> int:
    """Bytes of files that a request may bring."""
    return limits().batch_bytes if takes_files(request) else SMALL


class Ceiling(FileUploadHandler):
    """Stops a request whose files are together larger than a batch may be."""

    def __init__(self, request=None):
        super().__init__(request)
        self.seen = 0
        self.most = most(request) if request is not None else limits().batch_bytes

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None):
        if content_length > self.most + HEADS:
            raise RequestDataTooBig("the upload is larger than a batch may be")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.seen += len(raw_data)
        if self.seen > self.most:
            raise RequestDataTooBig("the upload is larger than a batch may be")
        return raw_data

    def file_complete(self, file_size: int):
        return None
