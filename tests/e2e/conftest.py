"""Clients of the embedded stack, one per scope, and functions with other variables."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from tests.e2e.http_client import ApiClient

Configure = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def writer(stack: Any) -> ApiClient:
    return ApiClient(stack.connection.api_url, stack.connection.write_key)


@pytest.fixture(scope="session")
def reader(stack: Any) -> ApiClient:
    return ApiClient(stack.connection.api_url, stack.connection.read_key)


@pytest.fixture(scope="session")
def admin(stack: Any) -> ApiClient:
    return ApiClient(stack.connection.api_url, stack.connection.admin_key)


@pytest.fixture(scope="session")
def stranger(stack: Any) -> ApiClient:
    return ApiClient(stack.connection.api_url, None)


@pytest.fixture(scope="session")
def configured(stack: Any) -> Configure:
    """Within `configured("QueryFunction", NAME="value")` the function has these variables, as a parameter sets them."""

    @contextmanager
    def configured(function: str, **changed: str) -> Iterator[None]:
        client = aws_session(stack.connection.aws_endpoint).client("lambda")
        names = [each["FunctionName"] for each in client.list_functions()["Functions"]]
        name = next(name for name in names if function in name)
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, **changed}})
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    return configured
