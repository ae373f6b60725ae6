"""The event of a call: how long it took and what it raised."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tallystream.writing import EventWriter

if TYPE_CHECKING:
    from typing_extensions import Self

Function = TypeVar("Function", bound=Callable[..., Any])


class Timed:
    """One call to be timed, or a decorator that times every call. Made by `timed` of a client."""

    def __init__(
        self,
        find_writer: Callable[[], EventWriter],
        event_name: str,
        fields: Mapping[str, Any],
        describe: Callable[..., Mapping[str, Any]] | None = None,
    ) -> None:
        self._find_writer = find_writer  # asked at each event: a fork, or closing, gives the client another one
        self._event_name = event_name
        self._fields = dict(fields)
        self._describe = describe
        self._started_ns = 0
        self.event_id: str | None = None
        """The event's id, once the call has ended."""

    def set(self, **fields: Any) -> None:
        """Adds fields while the call runs: `event.set(output=answer)`."""
        self._fields.update(fields)

    def __enter__(self) -> Self:
        self._started_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        latency_ms = (time.perf_counter_ns() - self._started_ns) / 1_000_000
        fields = {"latency_ms": latency_ms, **self._fields}
        if problem is not None:
            fields["error"] = problem
        timestamp, event_id = fields.pop("timestamp", None), fields.pop("event_id", None)
        self.event_id = self._find_writer().create(self._event_name, fields, timestamp, event_id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)

    def __call__(self, function: Function) -> Function:
        """The function, each call of it an event."""
        from inspect import iscoroutinefunction  # noqa: PLC0415 - slow to import, and only decorators need it

        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self._of_call(args, kwargs):
                    return await function(*args, **kwargs)

            return cast("Function", timed_coroutine)

        @functools.wraps(function)
        def timed_function(*args: Any, **kwargs: Any) -> Any:
            with self._of_call(args, kwargs):
                return function(*args, **kwargs)

        return cast("Function", timed_function)

    def _of_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Timed:
        more: Mapping[str, Any] = {}
        if self._describe is not None:
            try:
                more = self._describe(*args, **kwargs)
            except Exception as problem:  # noqa: BLE001 - describing must not break the call; the event then says why it lacks fields
                more = {"properties": {"describe_failed": repr(problem)}}
        return Timed(self._find_writer, self._event_name, {**self._fields, **more})
