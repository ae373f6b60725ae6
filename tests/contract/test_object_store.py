"""`ErasableStore`, and so `ObjectStore`: the fake, boto3 under moto and on the embedded endpoint do the same."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.ports import ErasableStore
from tests.fakes import FakeObjectStore


@pytest.fixture(params=["fake", "moto", "endpoint"])
def objects(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ErasableStore]:
    if request.param == "fake":
        yield FakeObjectStore()
    elif request.param == "moto":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        with mock_aws():
            client = boto3.client("s3", region_name="us-east-1")
            client.create_bucket(Bucket="archive")
            client.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
            yield S3ObjectStore("archive", client=client)
    else:
        connection = request.getfixturevalue("stack").connection
        yield S3ObjectStore(connection.archive_bucket, client=aws_session(connection.aws_endpoint).client("s3"))


def test_a_new_object_is_written_and_a_second_of_its_name_is_not(objects: ErasableStore) -> None:
    name = f"contract/{uuid.uuid4()}"

    assert objects.put_new(name, b"first") is True
    assert objects.put_new(name, b"second") is False


def test_what_was_written_first_stays(objects: ErasableStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"first")
    objects.put_new(name, b"second")

    assert objects.get(name) == b"first"


def test_there_is_nothing_under_another_name(objects: ErasableStore) -> None:
    assert objects.get(f"contract/{uuid.uuid4()}") is None


def test_lists_by_prefix_in_the_order_of_names_from_where_it_is_told(objects: ErasableStore) -> None:
    folder = f"contract/{uuid.uuid4()}/"
    for name in ("b", "a", "c"):
        objects.put_new(folder + name, name.encode() * 3)

    listed = list(objects.list(folder))
    assert [(entry.name, entry.size) for entry in listed] == [(folder + name, 3) for name in ("a", "b", "c")]
    assert all(abs(datetime.now(UTC) - entry.written_at) < timedelta(minutes=1) for entry in listed)
    assert [entry.name for entry in objects.list(folder, after=folder + "a")] == [folder + "b", folder + "c"]


def test_a_deleted_object_is_gone_and_may_be_deleted_again(objects: ErasableStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"x")
    for _ in range(2):
        objects.delete(name)

    assert objects.get(name) is None
    assert objects.put_new(name, b"again") is True


def test_an_object_is_rewritten_where_it_is_and_only_there(objects: ErasableStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"first")

    assert objects.rewrite(name, lambda body: body + b", edited") is True
    assert objects.get(name) == b"first, edited"
    assert objects.rewrite(f"contract/{uuid.uuid4()}", lambda body: body) is False


def test_a_write_that_comes_between_is_edited_too_and_not_lost(objects: ErasableStore) -> None:
    name = f"contract/{uuid.uuid4()}"
    objects.put_new(name, b"first")
    asked = []

    def edit(body: bytes) -> bytes:
        asked.append(body)
        if len(asked) == 1 and not isinstance(objects, FakeObjectStore):  # which nobody can come between
            objects.rewrite(name, lambda _body: b"second")
        return body + b", edited"

    assert objects.rewrite(name, edit) is True
    assert objects.get(name) == asked[-1] + b", edited"
    assert isinstance(objects, FakeObjectStore) or asked == [b"first", b"second"]


def test_what_an_object_was_is_found_until_it_is_forgotten(objects: ErasableStore) -> None:
    folder = f"contract/{uuid.uuid4()}/"
    for name in ("a", "b", "c"):
        objects.put_new(folder + name, name.encode())
    objects.rewrite(folder + "a", lambda _body: b"a2")
    objects.rewrite(folder + "c", lambda body: body)
    objects.delete(folder + "b")

    former = list(objects.former(folder))
    assert [(each.name, objects.get_former(each)) for each in former] == [(folder + "a", b"a"), (folder + "b", b"b")]
    assert [each.name for each in objects.former(folder, after=folder + "a")] == [folder + "b"]
    for each in former:
        objects.forget(each)
    assert list(objects.former(folder)) == []
    assert [objects.get_former(each) for each in former] == [None, None]
    assert [objects.get(folder + name) for name in ("a", "b", "c")] == [b"a2", None, b"c"]
