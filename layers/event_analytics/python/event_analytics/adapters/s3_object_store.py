"""boto3 as an `ObjectStore`. Writes are conditional: an object, once there, is never replaced."""

from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_CONFIG: Final = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
    # Emulators know no bucket host names; AWS takes both forms.
    "s3": {"addressing_style": "path"},
}
_PRECONDITION_FAILED: Final = "PreconditionFailed"


class S3ObjectStore:
    """One bucket. The endpoint is AWS's, or AWS_ENDPOINT_URL's where that is set: boto3 reads it by itself."""

    def __init__(self, bucket: str, client: Any = None) -> None:
        self._bucket = bucket
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

    def _connected(self) -> Any:
        if self._client is None:
            self._client = boto3.client("s3", config=Config(**_CONFIG))
        return self._client
