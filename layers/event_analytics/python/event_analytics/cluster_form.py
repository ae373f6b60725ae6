"""Migrations for one server -> the same for replicas, or for shards of replicas. docs/clickhouse_cluster.md tells when.

- `single`: as written.
- `replicated`: one shard, any number of replicas, and ClickHouse Cloud: the same tables on replicated engines. In a
  database of engine Replicated (or in the Cloud) one replica's DDL reaches all, so every name stays what it is.
- `sharded`: each table becomes `<name>_local` on all shards, and `<name>` a Distributed table over them.
"""

import re
from enum import StrEnum
from typing import Final

from event_analytics.migrations import Migration

ON_CLUSTER: Final = " ON CLUSTER '{cluster}'"
# All rows of one event lie on one shard, as FINAL and folds need: an event's key fields never change.
_BY_EVENT_KEY: Final = "cityHash64(if(conversation_id = '', user_id, conversation_id))"
_SHARDING_KEYS: Final = {
    "events": _BY_EVENT_KEY,
    "event_embeddings": "cityHash64(conversation_id)",  # it has no user: rows without a conversation share a shard
    **dict.fromkeys(("event_changes", "pending_changes", "erased_ids"), "cityHash64(id)"),
    **dict.fromkeys(("hour_marks", "user_hours", "event_name_hours", "conversation_hours"), "cityHash64(hour)"),
    "rollup_generations": "cityHash64(hour)",
    "erasures": "cityHash64(user_hash)",
}
_ANYWHERE: Final = "rand()"
_CREATE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)")
_CHANGE: Final = re.compile(r"(?P<verb>ALTER TABLE|TRUNCATE TABLE) (?P<name>\w+)")
_ENGINE: Final = re.compile(r"ENGINE = (?=\w*MergeTree)")
_WINDOW: Final = "non_replicated_deduplication_window"


class ClusterForm(StrEnum):
    """Where the tables lie."""

    SINGLE = "single"
    REPLICATED = "replicated"
    SHARDED = "sharded"


def render_migration(migration: Migration, form: ClusterForm) -> Migration:
    """The migration under its own name, with the statements of a form."""
    statements = [rendered for one in migration.statements for rendered in render_statement(one, form)]
    return Migration(migration.name, tuple(statements))


def render_statement(statement: str, form: ClusterForm) -> list[str]:
    """One statement of a migration, or two, in a form."""
    if form is ClusterForm.SINGLE:
        return [statement]
    replicated = _ENGINE.sub("ENGINE = Replicated", statement).replace(_WINDOW, "replicated_deduplication_window")
    created = _CREATE.search(replicated)
    if form is ClusterForm.REPLICATED:
        return [replicated]
    if created is None:
        return [_CHANGE.sub(rf"\g<verb> \g<name>_local{ON_CLUSTER}", replicated)]
    name = created["name"]
    local = _CREATE.sub(f"CREATE TABLE IF NOT EXISTS {name}_local{ON_CLUSTER}", replicated)
    engine = f"Distributed('{{cluster}}', currentDatabase(), {name}_local, {_SHARDING_KEYS.get(name, _ANYWHERE)})"
    return [local, f"CREATE TABLE IF NOT EXISTS {name}{ON_CLUSTER} AS {name}_local\nENGINE = {engine}"]
