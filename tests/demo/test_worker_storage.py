"""What is asked of an S3 store."""

from __future__ import annotations

import io

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


def test_files_are_written_whole_read_and_deleted_many_at_a_request(s3, monkeypatch):
    storage.write("uploads/a", io.BytesIO(b"one two"), sync=True)
    assert storage.read("uploads/a") == b"one two"
    for i in range(3):
        storage.write(f"uploads/{i}", b"x")
    assert storage.local() is None
    storage.demand_room()  # no disk of this machine
    sent, call = [], s3.bucket.meta.client._make_api_call
    monkeypatch.setattr(
        s3.bucket.meta.client, "_make_api_call", lambda *a: sent.append(a[0]) or call(*a)
    )
    storage.remove(["uploads/a", "uploads/1", "", "uploads/none"])
    assert sent == ["DeleteObjects"]
    assert sorted(storage.listing("uploads")) == ["uploads/0", "uploads/2"]
    with pytest.raises(FileNotFoundError):
        storage.read("uploads/a")


def test_what_the_store_raises_is_the_stores_being_away(s3):
    import boto3

    store = boto3.resource("s3", region_name="us-east-1").Bucket("chips")
    storage.write("uploads/a", b"a")
    store.objects.all().delete()
    store.delete()
    with pytest.raises(storage.StorageAway, match="NoSuchBucket"):
        storage.write("uploads/b", b"b")
    assert storage._away_until == 0.0  # it did answer
