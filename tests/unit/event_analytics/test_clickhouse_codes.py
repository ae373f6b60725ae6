"""ClickHouse error code -> whose fault it is."""

import pytest

from event_analytics.clickhouse_codes import CODE_NAMES, ErrorKind, classify_code, name_of_code

# GlassFlow's published lists, except 18: no ClickHouse has that code any more.
GLASSFLOW_RETRYABLE = [159, 198, 201, 202, 203, 209, 210, 236, 241, 242, 243, 244, 254, 265, 279, 285, 286, 289, 290]
GLASSFLOW_RETRYABLE += [297, 364, 384, 999, 1000]
GLASSFLOW_PERMANENT = [6, 7, 16, 20, 25, 26, 27, 38, 41, 43, 44, 47, 53, 60, 72, 80, 81, 117, 164, 192, 193, 194, 195]
GLASSFLOW_PERMANENT += [291, 321, 349, 392, 516]


@pytest.mark.parametrize("code", GLASSFLOW_RETRYABLE)
def test_what_others_found_to_pass_is_retried(code: int) -> None:
    assert classify_code(code) is ErrorKind.RETRYABLE


@pytest.mark.parametrize("code", GLASSFLOW_PERMANENT)
def test_what_others_found_to_stay_is_permanent_for_the_record_or_for_the_table(code: int) -> None:
    assert classify_code(code) in (ErrorKind.CONTENT, ErrorKind.DEPLOYMENT)


def test_no_code_at_all_is_a_connection_that_failed_and_passes() -> None:
    assert classify_code(None) is ErrorKind.RETRYABLE


def test_too_many_parts_looks_permanent_and_is_not() -> None:
    assert classify_code(252) is ErrorKind.RETRYABLE


# A disk that is full or broken, a process without threads, a server that starts, replicas without their keeper.
STATES = [23, 24, 40, 74, 75, 77, 87, 88, 107, 172, 204, 214, 226, 228, 231, 246, 274, 275, 294, 400, 424, 458, 521]
STATES += [566, 586, 734, 740, 771, 1016, 303, 411, 460, 461, 573, 635, 373, 695, 696, 700, 722, 776, 777, 778]
STATES += [531, 1019, 1020]
STATES += [236, 243, 252, 369, 394, 415, 416, 519, 568, 574, 763, 999]


@pytest.mark.parametrize("code", STATES)
def test_what_the_state_of_the_server_causes_is_no_records_fault(code: int) -> None:
    assert classify_code(code) is ErrorKind.RETRYABLE


@pytest.mark.parametrize("code", [16, 47, 60, 81, 164, 193, 497, 516])
def test_what_would_hit_every_row_is_never_the_fault_of_one(code: int) -> None:
    assert classify_code(code) is ErrorKind.DEPLOYMENT


@pytest.mark.parametrize("code", [27, 41, 72, 117, 306])
def test_what_the_real_engine_answers_to_bad_rows_is_content(code: int) -> None:
    assert classify_code(code) is ErrorKind.CONTENT


@pytest.mark.parametrize("code", [36, 49, 1001, 1002, 99_999, 0, -1])
def test_everything_else_is_unknown(code: int) -> None:
    assert classify_code(code) is ErrorKind.UNKNOWN


def test_a_code_is_named_from_the_table_and_never_from_a_message() -> None:
    assert (name_of_code(117), name_of_code(12_345)) == ("INCORRECT_DATA", "CODE_12345")
    assert len({*CODE_NAMES.values()}) == len(CODE_NAMES)
