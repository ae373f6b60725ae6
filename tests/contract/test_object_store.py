"""`ObjectStore`: the fake, boto3 under moto and boto3 on the embedded endpoint do the same."""

import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.ports import ObjectEntry, ObjectStore
from tests.fakes import FakeObjectStore


@pytest.fixture(params=["fake", "moto", "endpoint"])
def objects(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    if request.param == "fake":
        yield FakeObjectStore()
    elif request.param == "moto":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        with mock_aws():
            client = boto3.client("s3", region_name="us-east-1")
            client.create_bucket(Bucket="archive")
            yield S3ObjectStore("archive", client=client)
    else:
        connection = request.getfixturevalue("stack").connection
        yield S3ObjectStore(connection.archive_bucket, client=aws_session(connection.aws_endpoint).client("s3"))


def test_a_new_object_is_written_and_a_second_of_its_name_is_not(objects: ObjectStore) -> None:
    name = f"contract/{uuid.uuid4()}"

    assert objects.put_new(name, b"first") is True
    assert objects.put_new(name, b"second") is False


def test_what_was_written_first_stays(objects: ObjectStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"first")
    objects.put_new(name, b"second")

    assert objects.get(name) == b"first"


def test_there_is_nothing_under_another_name(objects: ObjectStore) -> None:
    assert objects.get(f"contract/{uuid.uuid4()}") is None


def test_lists_by_prefix_in_the_order_of_names_from_where_it_is_told(objects: ObjectStore) -> None:
    folder = f"contract/{uuid.uuid4()}/"
    for name in ("b", "a", "c"):
        objects.put_new(folder + name, name.encode() * 3)

    assert list(objects.list(folder)) == [ObjectEntry(folder + name, 3) for name in ("a", "b", "c")]
    assert [entry.name for entry in objects.list(folder, after=folder + "a")] == [folder + "b", folder + "c"]


def test_a_deleted_object_is_gone_and_may_be_deleted_again(objects: ObjectStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"x")
    for _ in range(2):
        objects.delete(name)

    assert objects.get(name) is None
    assert objects.put_new(name, b"again") is True
