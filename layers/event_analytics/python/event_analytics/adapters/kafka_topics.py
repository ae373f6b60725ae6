"""kafka-python's admin client: makes the topics that are missing, and sets what differs on those that are there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from event_analytics.adapters.kafka_event_log import SECURITY_CONFIG
from event_analytics.errors import LogUnavailable
from event_analytics.topics import Topic, TopicPlan, TopicState, plan_topics

_REQUEST_MS_MAX: Final = 30_000  # MSK Serverless takes seconds for a topic
_BROKERS_DECIDE: Final = -1  # how many replicas a partition has


class KafkaTopics:
    """One connection per call: topics are settled once per deploy."""

    def __init__(self, bootstrap: str, security: str, client_id: str = "tallystream-setup") -> None:
        self._config: dict[str, Any] = {
            "bootstrap_servers": bootstrap.split(","),
            "client_id": client_id,
            "request_timeout_ms": _REQUEST_MS_MAX,
            **SECURITY_CONFIG[security],
        }

    def settle(self, wanted: Sequence[Topic]) -> TopicPlan:
        """What was done; nothing where all topics are as wanted already.

        Raises:
            LogUnavailable: the brokers did not answer, or refused; what was done until then stays.
        """
        with self._admin() as admin:
            plan = plan_topics(tuple(wanted), _read_states(admin, wanted))
            for topic in plan.create:
                _create(admin, topic)
            for name, config in plan.alter.items():
                resource = ConfigResource(ConfigResourceType.TOPIC, name, dict(config))
                admin.alter_configs([resource], raise_on_unknown=False)  # some brokers tell only what was set before
            return plan

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        admin = None
        try:
            admin = KafkaAdminClient(**self._config)
            yield admin
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            if admin is not None:
                admin.close()


def _create(admin: KafkaAdminClient, topic: Topic) -> None:
    options = {
        "num_partitions": topic.partitions,
        "replication_factor": _BROKERS_DECIDE,
        "configs": dict(topic.config),
    }
    with suppress(TopicAlreadyExistsError):  # another deploy was faster
        admin.create_topics({topic.name: options})


def _read_states(admin: KafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, TopicState]:
    names = set(admin.list_topics()) & {topic.name for topic in wanted}
    if not names:
        return {}
    partitions = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(sorted(names))}
    # All of their configuration: the embedded broker hangs up when single names are asked for.
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(names)]
    told = admin.describe_configs(resources, config_filter="all")["topic"]
    return {name: TopicState(partitions[name], _values_of(told[name])) for name in names}


def _values_of(told: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: str(entry["value"]) for name, entry in told.items()}
