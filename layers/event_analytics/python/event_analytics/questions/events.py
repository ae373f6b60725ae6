"""Which events there are: newest first, or oldest, filtered, page by page."""

from typing import Final

from event_analytics.questions.event_rows import EventRow, columns_with
from event_analytics.questions.pages import Order, compile_keys, find_page
from event_analytics.questions.parameters import CURSOR, FILTERS, INCLUDE, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question

_ORDER: Final = Parameter("order", Kind.CHOICE, "By time, then id.", default="desc", choices=("desc", "asc"))


def _order_of(asked: Asked) -> Order:
    return Order(is_descending=asked.options["order"] == "desc")


def compile_events(asked: Asked) -> Query:
    """Keys of the first page over the whole window."""
    return compile_keys(asked.conditions(), _order_of(asked), asked.limit)


def find_events(asked: Asked, select: Select) -> Found:
    """A page of the events."""
    return find_page(asked, select, _order_of(asked))


EVENTS = Question(
    name="events",
    route="/events",
    summary="Events by time, page by page.",
    parameters=(*WINDOW, LIMIT, CURSOR, _ORDER, INCLUDE, *FILTERS),
    rows_name="events",
    row=EventRow,
    compile=compile_events,
    answer=find_events,
    columns=lambda asked: columns_with(asked.options.get("include", ())),
)
