"""Every question there is. A new one is a module beside this and a line here; routes, CSV and OpenAPI follow."""

from typing import Final

from event_analytics.questions.conversation_events import CONVERSATION_EVENTS
from event_analytics.questions.error_rates import ERRORS
from event_analytics.questions.event import EVENT
from event_analytics.questions.events import EVENTS
from event_analytics.questions.latency import LATENCY
from event_analytics.questions.question import Question
from event_analytics.questions.similar import SIMILAR
from event_analytics.questions.top_conversations import TOP_CONVERSATIONS
from event_analytics.questions.top_users import TOP_USERS
from event_analytics.questions.volume import VOLUME

QUESTIONS: Final[tuple[Question, ...]] = (
    TOP_USERS,
    LATENCY,
    ERRORS,
    TOP_CONVERSATIONS,
    VOLUME,
    EVENTS,
    CONVERSATION_EVENTS,
    EVENT,
    SIMILAR,
)
BY_NAME: Final = {question.name: question for question in QUESTIONS}
