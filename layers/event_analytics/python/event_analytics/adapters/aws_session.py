"""The AWS session of scripts and of the local deploy. Functions use plain boto3 and read no endpoint of their own."""

from typing import Any, Final
from urllib.parse import urlsplit

import boto3

LOCAL_REGION: Final = "us-east-1"


def aws_session(endpoint_url: str | None) -> Any:
    """An object with `client(service, **kwargs)`: local where an endpoint is given, else AWS as boto3 is configured."""
    if not endpoint_url:
        return boto3.Session()
    from localstack_client.session import Session  # noqa: PLC0415 - absent in Lambda

    session = Session(localstack_host=urlsplit(endpoint_url).netloc, region_name=LOCAL_REGION)
    # An AWS_ENDPOINT_URL of the shell would win over the host given: the endpoint asked for is the one meant.
    session._service_endpoint_mapping = dict.fromkeys(session._service_endpoint_mapping, endpoint_url)
    return session
