"""Who is most active: users by number of events.

Without filters, hours that are counted already are taken from their rollup, and only the rest is read with FINAL.
"""

from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct, convert

from event_analytics.held_hours import Held
from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.rollup import USER_HOURS
from event_analytics.rollup_query import Top, ask_rolled_up, compile_rolled_up, window_to_roll_up

_RANK: Final = "events DESC, user_id"
_HAS_USER: Final = "user_id != ''"


class UserRow(Struct, frozen=True):
    """One user."""

    user_id: Annotated[str, Meta(description="The user.")]
    events: Annotated[int, Meta(description="Number of the user's events.")]


class UserTotals(Struct, frozen=True):
    """Over all users of the window, shown or not."""

    events_total: Annotated[int, Meta(description="Number of events that have a user.")] = 0
    users_total: Annotated[int, Meta(description="Number of users.")] = 0


def compile_top_users(asked: Asked) -> Query:
    """Users by number of events; ties by id. Events without a user do not count."""
    return _compile_rolled_up(asked) or compile_counted(asked)


def _compile_rolled_up(asked: Asked, held: Held | None = None) -> Query | None:
    """None where rollups cannot answer, or would save nothing."""
    window = window_to_roll_up(asked.window)
    if window is None or not asked.filters.is_empty:
        return None
    return compile_rolled_up(USER_HOURS, window, Top(_RANK, _HAS_USER, asked.limit), held)


def compile_counted(asked: Asked) -> Query:
    """As above, counted event by event."""
    conditions = asked.conditions().and_(_HAS_USER, limit=asked.limit)
    sql = f"""
SELECT user_id, events, sum(events) OVER () AS events_total, count() OVER () AS keys_total
FROM
(
    SELECT user_id, count() AS events
    FROM events FINAL
    {conditions.where()}
    GROUP BY user_id
)
ORDER BY {_RANK}
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours
    return Query(sql, conditions.parameters)


def answer_top_users(asked: Asked, select: Select) -> Found:
    """The users; counted event by event where a rollup that should hold is not whole."""
    rolled_up = ask_rolled_up(partial(_compile_rolled_up, asked), asked.window, select)
    rows = rolled_up or select(compile_counted(asked)).rows
    first = rows[0] if rows else {"events_total": 0, "keys_total": 0}
    totals = {"events_total": first["events_total"], "users_total": first["keys_total"]}
    return Found(convert(rows, list[UserRow]), totals)


TOP_USERS = Question(
    name="top-users",
    route="/reports/top-users",
    summary="Users by number of events.",
    parameters=(*WINDOW, LIMIT, *FILTERS),
    rows_name="users",
    row=UserRow,
    totals=UserTotals,
    compile=compile_top_users,
    answer=answer_top_users,
)
