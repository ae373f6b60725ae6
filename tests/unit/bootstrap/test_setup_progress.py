"""What the person reads while pip works."""

import pytest

from scripts.bootstrap.progress import find_activity


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["$ pip install"], ""),
        (
            ["Collecting chdb", "  Downloading chdb_core-26.9.0-cp39-abi3-manylinux_2_17_x86_64.whl (168.2 MB)"],
            "downloading chdb_core-26.9.0 (168.2 MB)",
        ),
        (["  Downloading https://h/a/six-1.17.0-py2.py3-none-any.whl (11 kB)"], "downloading six-1.17.0 (11 kB)"),
        (["  Downloading x-1-y.whl (1 MB)", "Installing collected packages: x, y"], "installing"),
        (["Building wheel for localstack-client"], "building"),
    ],
)
def test_last_line_that_means_something_is_told(lines: list[str], expected: str) -> None:
    assert find_activity(lines) == expected
