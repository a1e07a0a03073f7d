"""What is asked of an S3 store: a chip out of a pack is not the whole pack."""

from __future__ import annotations

import os

import pytest
from showcase import storage


@pytest.fixture
def s3(monkeypatch):
    """The class that settings name, on moto's fake of S3 inside this process."""
    mock_aws = pytest.importorskip("moto").mock_aws
    import boto3
    from storages.backends.s3 import S3Storage

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        boto3.client("s3", "us-east-1").create_bucket(Bucket="chips")
        store = S3Storage(bucket_name="chips", region_name="us-east-1", location="lab")
        monkeypatch.setattr(storage, "default_storage", store)
        yield store


def test_a_part_of_a_file_is_all_that_is_fetched(s3, monkeypatch):
    data = os.urandom(3000)
    storage.write("packs/a", data)
    assert storage.read("packs/a") == data

    def whole(_):
        raise AssertionError("the whole file was fetched")

    monkeypatch.setattr("storages.backends.s3.S3File.file", property(whole))
    assert storage.read_part("packs/a", 1000, 12) == data[1000:1012]
    assert storage.read_part("packs/a", 0, 3000) == data
    assert storage.read_part("packs/a", 2999, 1) == data[-1:]
    with pytest.raises(FileNotFoundError):
        storage.read_part("packs/none", 0, 1)
    with pytest.raises(FileNotFoundError):
        storage.read_part("packs/a", 5000, 1)  # behind its end
    with pytest.raises(FileNotFoundError):
        storage.read("packs/none")


def test_what_the_store_raises_is_the_stores_being_away(s3):
    import boto3

    store = boto3.resource("s3", region_name="us-east-1").Bucket("chips")
    storage.write("packs/a", b"a")
    store.objects.all().delete()
    store.delete()
    for step in (
        lambda: storage.write("packs/b", b"b"),
        lambda: storage.write_parts("packs/b", [b"b"]),
    ):
        with pytest.raises(storage.StorageAway, match="NoSuchBucket"):
            step()
