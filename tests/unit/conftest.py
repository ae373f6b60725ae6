"""Unit tests are pure: a socket in one of them is a bug in the test or in what it tests."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    """Refuse every socket while a unit test runs; other tests of the same run have theirs back."""
    disable_socket()
    yield
    enable_socket()
