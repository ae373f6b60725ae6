"""boto3 as an `ObjectStore`. Writes are conditional: an object, once there, is never replaced."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from event_analytics.ports import ObjectEntry

# Emulators know no bucket host names; AWS takes both forms.
_PATHS: Final = {"s3": {"addressing_style": "path"}}
PATIENT_CLIENT: Final = {**_PATHS, "connect_timeout": 3, "read_timeout": 10, "retries": {"total_max_attempts": 3}}
# For a caller who waits for an answer: a write that hangs must not keep its thread beyond the request.
HASTY_CLIENT: Final = {**_PATHS, "connect_timeout": 1, "read_timeout": 2, "retries": {"total_max_attempts": 2}}
_PRECONDITION_FAILED: Final = "PreconditionFailed"
_NO_SUCH_KEY: Final = "NoSuchKey"


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
            if error.response.get("Error", {}).get("Code") == _PRECONDITION_FAILED:
                return False
            raise
        return True

    def get(self, name: str) -> bytes | None:
        """As `ObjectStore.get`."""
        try:
            answer = self._connected().get_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _NO_SUCH_KEY:
                return None
            raise
        return bytes(answer["Body"].read())

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
                yield ObjectEntry(entry["Key"], entry["Size"])

    def delete(self, name: str) -> None:
        """As `ObjectStore.delete`."""
        self._connected().delete_object(Bucket=self._bucket, Key=name)

    def _connected(self) -> Any:
        if self._client is None:
            self._client = boto3.client("s3", config=Config(**self._config))
        return self._client
