"""The Kafka mappings that a Lambda endpoint keeps, as `CreateEventSourceMapping` left them there."""

from __future__ import annotations

import logging
from typing import Any

from local_runtime.kafka_trigger.mapping import Mapping, MappingRefused
from local_runtime.kafka_trigger.properties import read_properties

log = logging.getLogger(__name__)

# What an endpoint adds to what it was given.
_ADDED = frozenset(
    {
        "EventSourceMappingArn",
        "FilterCriteriaError",
        "FunctionArn",
        "LastModified",
        "LastProcessingResult",
        "State",
        "StateTransitionReason",
    }
)
OFF_STATES = frozenset({"Disabled", "Disabling", "Deleting"})
# An endpoint may list every property it has a place for; these are for other sources and mean nothing then.
_OTHER_SOURCES = frozenset(
    {"DocumentDBEventSourceConfig", "ParallelizationFactor", "Queues", "ScalingConfig", "TumblingWindowInSeconds"}
)


class LambdaMappings:
    """A Lambda endpoint's list of mappings, read through a boto3 client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._warned: set[str] = set()

    def read(self) -> list[Mapping] | None:
        """Return the Kafka mappings that can be played; None when the endpoint does not answer now.

        One that cannot be played is named in the log, once, and left out.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self._client.get_paginator("list_event_source_mappings").paginate()
            listed = [one for page in pages for one in page["EventSourceMappings"] if one.get("Topics")]
        except (BotoCoreError, ClientError, OSError) as error:
            self.warn(f"the mappings cannot be listed: {error}")
            return None
        return [mapping for one in listed if (mapping := self._read_one(one)) is not None]

    def _read_one(self, listed: dict[str, Any]) -> Mapping | None:
        try:
            return read_listed(listed)
        except MappingRefused as error:
            self.warn(str(error))
            return None

    def warn(self, line: str) -> None:
        """Log a line the first time that it is said."""
        if line not in self._warned:
            self._warned.add(line)
            log.warning("%s", line)


def read_listed(listed: dict[str, Any]) -> Mapping:
    """Return the mapping that an endpoint lists.

    Raises:
        MappingRefused: it cannot be played.
    """
    kept = listed.keys() - _ADDED - _OTHER_SOURCES
    properties = {key: listed[key] for key in kept if listed[key] is not None}
    properties["FunctionName"] = listed.get("FunctionArn") or ""
    properties["Enabled"] = listed.get("State") not in OFF_STATES
    return read_properties(str(listed["UUID"]), properties)
