"""Sends a question and reads the answer; repeats what may be repeated. In the calling thread."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from tallystream.answers import Answer, NoAnswer, error_of, no_answer, unreadable
from tallystream.backoff import pause_seconds
from tallystream.errors import Unavailable
from tallystream.questions import Question
from tallystream.sender import Calls
from tallystream.wire import read_as

Result = TypeVar("Result")
Row = TypeVar("Row")
ATTEMPTS_MAX: Final = 3  # reads repeat safely; someone waits for the answer
_random = random.SystemRandom()


class Asker:
    """Asks one API. For any number of threads."""

    def __init__(self, connect: Callable[[], Calls]) -> None:
        self._connect = connect

    def ask(self, question: Question[Result]) -> Result:
        """The answer.

        Raises:
            KeyRefused, NotFound, EventDeleted, RequestRefused: repeating it changes nothing, or not yet.
            Unavailable: after three attempts.
        """
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return self._ask_once(question)
            except Unavailable as problem:
                if attempt == ATTEMPTS_MAX:
                    raise
                time.sleep(pause_seconds(attempt, problem.retry_after_seconds, _random.uniform))
        raise AssertionError("the last attempt returns or raises")

    def _ask_once(self, question: Question[Result]) -> Result:
        body = None if question.document is None else json.dumps(question.document).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._connect().call(question.method, question.target, body, headers)
        except NoAnswer as problem:
            raise no_answer(problem) from problem
        if not answer.is_ok:
            raise error_of(answer)
        return _read(question, answer)


def _read(question: Question[Result], answer: Answer) -> Result:
    document = answer.document()
    if question.result is dict:
        return document  # type: ignore[return-value]
    try:
        return read_as(question.result, document)
    except (TypeError, ValueError, AttributeError) as problem:
        raise unreadable(answer, f"no {question.result.__name__}: {problem}") from problem


class Rows(Generic[Row]):
    """The rows of a read, page after page, asked for as they are needed. Iterating again asks again."""

    def __init__(self, ask: Callable[[Question[dict[str, Any]]], dict[str, Any]], question: Question[Row]) -> None:
        self._ask = ask
        self._question = question

    def __iter__(self) -> Iterator[Row]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[Row]]:
        """The rows by page; the last page may be empty."""
        cursor: str | None = None
        while True:
            question = page_question(self._question, cursor)
            rows, cursor = read_page(self._question, self._ask(question))
            yield rows
            if cursor is None:
                return


def page_question(question: Question[Row], cursor: str | None) -> Question[dict[str, Any]]:
    """The question about one page of rows."""
    page: Question[dict[str, Any]] = Question(dict, question.path, question.query)
    return page if cursor is None else page.at(cursor)


def read_page(question: Question[Row], document: dict[str, Any]) -> tuple[list[Row], str | None]:
    """The rows of a page, and the cursor of the next; None after the last.

    Raises:
        Unavailable: the answer is no page.
    """
    try:
        return [read_as(question.result, row) for row in document["events"]], document.get("next_cursor")
    except (KeyError, TypeError, ValueError) as problem:
        raise Unavailable(f"no page of events: {problem}", reason="answer_unreadable") from problem
