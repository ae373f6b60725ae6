"""A deploy -> topics, tables and retention as this version wants them. Whoever deploys invokes it; it may run twice.

It stands in the functions' subnets: brokers and ClickHouse are mostly reachable from nowhere else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending, apply_retention
from event_analytics.adapters.kafka_topics import KafkaTopics
from event_analytics.adapters.secrets_manager import read_clickhouse_login
from event_analytics.cluster_form import ClusterForm
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.retention import Retention, check_retention
from event_analytics.settings import ObservabilitySettings, SetupSettings
from event_analytics.topics import Topic, TopicPlan, topics_of

MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Deps:
    """What setting up needs. `migrate` applies what is pending, tells each name and returns their number."""

    topics: Sequence[Topic]
    retention: Retention
    settle_topics: Callable[[Sequence[Topic]], TopicPlan]
    migrate: Callable[[Callable[[str], None]], int]
    apply_retention: Callable[[Retention], list[str]]

    @classmethod
    def from_settings(cls, settings: SetupSettings) -> "Deps":
        """The real ones."""
        login = read_clickhouse_login(settings.clickhouse_secret_id)
        store = ClickHouseEventStore(
            settings.clickhouse_url, login.user, login.password, ca_certificate=login.ca_certificate
        )
        form = ClusterForm(settings.clickhouse_form)
        return cls(
            topics=topics_of(
                int(settings.topic_partitions), int(settings.topic_retention_hours), settings.topic_min_insync_replicas
            ),
            retention=Retention(
                int(settings.event_retention_days),
                int(settings.embedding_retention_days),
                int(settings.change_retention_days),
                int(settings.archive_retention_days),
            ),
            settle_topics=KafkaTopics(settings.kafka_bootstrap, settings.kafka_security).settle,
            migrate=lambda report: apply_pending(store, MIGRATIONS, report, form),
            apply_retention=lambda retention: apply_retention(store, retention),
        )


def handle(deps: Deps, line: InvocationLine) -> dict[str, Any]:
    """What was done: names of topics and migrations, statements of retention; empty lists where all was so already.

    `topics_unlike`: topics that have another number of partitions than asked for, and keep it.

    Raises:
        RetentionRefused: before anything was done.
        LogUnavailable, StoreUnavailable: what was done until then stays; the next run goes on.
    """
    retention = check_retention(deps.retention)
    plan = deps.settle_topics(deps.topics)
    migrations: list[str] = []
    deps.migrate(migrations.append)
    done = {
        "topics_created": [topic.name for topic in plan.create],
        "topics_altered": sorted(plan.alter),
        "topics_unlike": dict(plan.unlike),
        "migrations": migrations,
        "retention": deps.apply_retention(retention),
    }
    line.note(**done)
    return done


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(SetupSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "setup")


def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry point, invoked by `make deploy`."""
    with _telemetry().invocation(context) as line:
        return handle(_deps(), line)
