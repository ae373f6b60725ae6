"""Migrations on one server, on replicas and on shards."""

import re

import pytest

from event_analytics.cluster_form import ClusterForm, render_migration, render_statement
from event_analytics.migrations import read_migrations
from local_runtime.settings import REPOSITORY

MIGRATIONS = read_migrations(REPOSITORY / "schema" / "migrations")


def rendered(form: ClusterForm) -> str:
    return "\n".join(text for migration in MIGRATIONS for text in render_migration(migration, form).statements)


def test_on_one_server_they_run_as_they_are_written() -> None:
    assert [render_migration(migration, ClusterForm.SINGLE) for migration in MIGRATIONS] == MIGRATIONS


@pytest.mark.parametrize("form", [ClusterForm.REPLICATED, ClusterForm.SHARDED])
def test_on_replicas_every_table_is_replicated_and_remembers_tokens_where_replicas_look(form: ClusterForm) -> None:
    text = rendered(form)
    engines = set(re.findall(r"ENGINE = (\w+)", text)) - {"Distributed"}

    assert engines
    assert all(engine.startswith("Replicated") and engine.endswith("MergeTree") for engine in engines)
    assert "non_replicated" not in text
    assert "replicated_deduplication_window = 1000" in text


def test_replicas_leave_every_name_as_it_is() -> None:
    assert "ON CLUSTER" not in rendered(ClusterForm.REPLICATED)
    assert "_local" not in rendered(ClusterForm.REPLICATED)


def test_a_table_on_shards_is_a_local_one_and_one_over_all_of_them() -> None:
    text = rendered(ClusterForm.SHARDED)
    local = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)_local ON CLUSTER", text))
    over_all = dict(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) ON CLUSTER .*\nENGINE = Distributed\((.*)\)", text))

    assert local == over_all.keys()
    assert all("rand()" not in arguments for arguments in over_all.values())
    assert "if(conversation_id = '', user_id, conversation_id)" in over_all["events"]


def test_a_change_of_a_table_on_shards_reaches_every_local_one() -> None:
    (statement,) = render_statement("ALTER TABLE events ADD COLUMN a String", ClusterForm.SHARDED)

    assert statement == "ALTER TABLE events_local ON CLUSTER '{cluster}' ADD COLUMN a String"
