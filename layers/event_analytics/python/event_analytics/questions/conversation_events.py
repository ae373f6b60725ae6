"""What happened in one conversation: all its events in the order of time, page by page."""

from event_analytics.questions.event_rows import EventRow, columns_with
from event_analytics.questions.filters import OF_CONVERSATION
from event_analytics.questions.pages import Order, compile_keys, find_page
from event_analytics.questions.parameters import CURSOR, INCLUDE, LIMIT, WINDOW
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question


def _of_conversation(asked: Asked) -> Asked:
    return asked._replace(filters=asked.filters.and_key(OF_CONVERSATION, conversation_id=asked.options["id"]))


def compile_conversation_events(asked: Asked) -> Query:
    """Keys of the first page."""
    return compile_keys(_of_conversation(asked).conditions(), Order(is_descending=False), asked.limit)


def find_conversation_events(asked: Asked, select: Select) -> Found:
    """A page of the conversation, oldest first."""
    return find_page(_of_conversation(asked), select, Order(is_descending=False))


# Without a window it is the whole conversation: one statement finds it by the index on its id.
_ANY_TIME = tuple(parameter._replace(default=None) for parameter in WINDOW)

CONVERSATION_EVENTS = Question(
    name="conversation-events",
    route="/conversations/{id}/events",
    summary="Events of one conversation in the order of time, page by page; of all time without a window.",
    parameters=(*_ANY_TIME, LIMIT, CURSOR, INCLUDE),
    rows_name="events",
    row=EventRow,
    compile=compile_conversation_events,
    answer=find_conversation_events,
    columns=lambda asked: columns_with(asked.options.get("include", ())),
)
