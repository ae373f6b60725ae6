"""Clients of the embedded stack, one per scope."""

from typing import Any

import pytest

from tests.e2e.http_client import ApiClient


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
