"""Who is most active: users by number of events.

Without filters, hours that are counted already are taken from their rollup, and only the rest is read with FINAL.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, convert

from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.rollup_query import IS_HELD, IS_NOT_HELD, WITH_HELD, full_hours, rollup_parameters
from event_analytics.windows import Window

# Joining costs about 12 ms of planning, whatever it saves: at 27,000 events an hour that is what so many hours cost.
ROLLED_UP_HOURS_MIN: Final = 6


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
    window = window_to_roll_up(asked)
    return compile_rolled_up(asked, window) if window else compile_counted(asked)


def window_to_roll_up(asked: Asked) -> Window | None:
    """The window if rollups can answer and it is long enough to save anything, else None."""
    is_long = asked.window is not None and full_hours(asked.window) >= ROLLED_UP_HOURS_MIN
    return asked.window if is_long and not asked.filters.sql else None


def compile_counted(asked: Asked) -> Query:
    """As above, counted event by event."""
    conditions = asked.conditions().and_("user_id != ''", limit=asked.limit)
    sql = f"""
SELECT user_id, events, sum(events) OVER () AS events_total, count() OVER () AS users_total
FROM
(
    SELECT user_id, count() AS events
    FROM events FINAL
    {conditions.where()}
    GROUP BY user_id
)
ORDER BY events DESC, user_id
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours
    return Query(sql, conditions.parameters)


def compile_rolled_up(asked: Asked, window: Window) -> Query:
    """As above, with a first row that is no user: it comes even where nobody was active, so `is_whole` always does."""
    conditions = asked.conditions().and_(IS_NOT_HELD, limit=asked.limit, **rollup_parameters(window))
    sql = f"""{WITH_HELD}
SELECT user_id, events,
    sumIf(events, user_id != '') OVER () AS events_total, countIf(user_id != '') OVER () AS users_total,
    sum(rollup_rows) OVER () = held.2 AS is_whole
FROM
(
    SELECT user_id, sum(events) AS events, sum(rollup_rows) AS rollup_rows
    FROM
    (
        SELECT user_id, events, 1 AS rollup_rows FROM user_hours WHERE {IS_HELD}
        UNION ALL
        SELECT user_id, count() AS events, 0 AS rollup_rows FROM events FINAL {conditions.where()} GROUP BY user_id
        UNION ALL
        SELECT '', 0, 0
    )
    GROUP BY user_id
)
ORDER BY user_id = '' DESC, events DESC, user_id
LIMIT {{limit:UInt32}} + 1
"""  # noqa: S608 - constants of ours
    return Query(sql, conditions.parameters)


def answer_top_users(asked: Asked, select: Select) -> Found:
    """The users; counted event by event where a rollup that should hold is not whole."""
    rows = select(compile_top_users(asked)).rows
    if window_to_roll_up(asked) and not (rows and rows[0]["is_whole"]):
        rows = select(compile_counted(asked)).rows
    return _shape(rows)


def _shape(rows: Sequence[Mapping[str, Any]]) -> Found:
    totals = convert(rows[0], UserTotals) if rows else UserTotals()
    users = convert([row for row in rows if row["user_id"]], list[UserRow])
    return Found(users, {name: getattr(totals, name) for name in UserTotals.__struct_fields__})


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
