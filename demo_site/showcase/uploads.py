"""A ceiling on the request itself: bytes are counted as they arrive, before anything is kept."""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from .limits import limits


class Ceiling(FileUploadHandler):
    """Stops a request whose files are together larger than a batch may be."""

    def __init__(self, request=None):
        super().__init__(request)
        self.seen = 0
        self.most = limits().batch_bytes

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None):
        if content_length > self.most + 1_000_000:  # headers of the parts come on top
            raise RequestDataTooBig("the upload is larger than a batch may be")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.seen += len(raw_data)
        if self.seen > self.most:
            raise RequestDataTooBig("the upload is larger than a batch may be")
        return raw_data

    def file_complete(self, file_size: int):
        return None
