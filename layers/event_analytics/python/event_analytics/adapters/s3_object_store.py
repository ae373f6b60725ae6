"""boto3 as an `ErasableStore`. Writes are conditional: on there being no such object, or on its being the one read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.ports import FormerVersion, ObjectEntry

# Emulators know no bucket host names; AWS takes both forms.
_PATHS: Final = {"s3": {"addressing_style": "path"}}
PATIENT_CLIENT: Final = {**_PATHS, "connect_timeout": 3, "read_timeout": 10, "retries": {"total_max_attempts": 3}}
# For a caller who waits for an answer: a write that hangs must not keep its thread beyond the request.
HASTY_CLIENT: Final = {**_PATHS, "connect_timeout": 1, "read_timeout": 2, "retries": {"total_max_attempts": 2}}
_PRECONDITION_FAILED: Final = "PreconditionFailed"
_NO_SUCH_KEY: Final = "NoSuchKey"
_ABSENT: Final = frozenset({_NO_SUCH_KEY, "NoSuchVersion"})
OBJECTS_UNAVAILABLE: Final = (ClientError, BotoCoreError)  # what reading raises while S3 does not answer
# Of a conditional write: another one won, now or just before.
_OVERTAKEN: Final = frozenset({_PRECONDITION_FAILED, "ConditionalRequestConflict"})


class S3ObjectStore:
    """One bucket. The endpoint is AWS's, or AWS_ENDPOINT_URL's where that is set: boto3 reads it by itself."""

    def __init__(self, bucket: str, client: Any = None, config: Mapping[str, Any] = PATIENT_CLIENT) -> None:
        self._bucket = bucket
        self._config = config
        self._client = client

    def put_new(self, name: str, body: bytes) -> bool:
        """As `ObjectStore.put_new`.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: not stored; try again.
        """
        try:
            self._connected().put_object(Bucket=self._bucket, Key=name, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if _code_of(error) == _PRECONDITION_FAILED:
                return False
            raise
        return True

    def get(self, name: str) -> bytes | None:
        """As `ObjectStore.get`."""
        found = self._read(Key=name)
        return None if found is None else found[0]

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        """As `ObjectStore.list`; pages are asked for one at a time."""
        start_after = {"StartAfter": after} if after else {}
        pages = (
            self._connected()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._bucket, Prefix=prefix, **start_after)
        )
        for page in pages:
            for entry in page.get("Contents", []):
                yield ObjectEntry(entry["Key"], entry["Size"], entry["LastModified"])

    def delete(self, name: str) -> None:
        """As `ObjectStore.delete`."""
        self._connected().delete_object(Bucket=self._bucket, Key=name)

    def rewrite(self, name: str, edit: Callable[[bytes], bytes]) -> bool:
        """As `ErasableStore.rewrite`.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it may have happened; do it again.
        """
        while (found := self._read(Key=name)) is not None:
            body, tag = found
            edited = edit(body)
            try:
                if edited != body:
                    self._connected().put_object(Bucket=self._bucket, Key=name, Body=edited, IfMatch=tag)
            except ClientError as error:
                if _code_of(error) not in _OVERTAKEN | _ABSENT:
                    raise
            else:
                return True
        return False

    def former(self, prefix: str, after: str = "") -> Iterator[FormerVersion]:
        """As `ErasableStore.former`; pages are asked for one at a time."""
        marker = {"KeyMarker": after} if after else {}
        pages = (
            self._connected()
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._bucket, Prefix=prefix, **marker)
        )
        for page in pages:
            for entry in page.get("Versions", []):
                if not entry["IsLatest"] and entry["Key"] > after:  # some endpoints begin with the marker itself
                    yield FormerVersion(entry["Key"], entry["VersionId"])

    def get_former(self, former: FormerVersion) -> bytes | None:
        """As `ErasableStore.get_former`."""
        found = self._read(Key=former.name, VersionId=former.version)
        return None if found is None else found[0]

    def forget(self, former: FormerVersion) -> None:
        """As `ErasableStore.forget`."""
        self._connected().delete_object(Bucket=self._bucket, Key=former.name, VersionId=former.version)

    def _read(self, **which: str) -> tuple[bytes, str] | None:
        try:
            answer = self._connected().get_object(Bucket=self._bucket, **which)
        except ClientError as error:
            if _code_of(error) in _ABSENT:
                return None
            raise
        return bytes(answer["Body"].read()), str(answer["ETag"])

    def _connected(self) -> Any:
        if self._client is None:
            self._client = boto3.client("s3", config=Config(**self._config))
        return self._client


def _code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
