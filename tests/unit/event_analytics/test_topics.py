"""Which topics a deploy makes and changes."""

from event_analytics.topics import TopicState, plan_topics, topics_of

WANTED = topics_of(32, 72, "2")


def as_wanted(partitions: int = 32) -> dict[str, TopicState]:
    """All topics as wanted, but for the partitions of the live one."""
    states = {topic.name: TopicState(topic.partitions, dict(topic.config)) for topic in WANTED}
    return states | {"events": TopicState(partitions, dict(WANTED[0].config))}


def test_dead_letters_have_one_partition_and_the_others_as_many_as_asked_for() -> None:
    assert {topic.name: topic.partitions for topic in WANTED} == {
        "events": 32,
        "event-changes": 32,
        "events-replay": 32,
        "dead-letters": 1,
    }


def test_a_topic_keeps_records_for_its_hours_and_takes_one_request_of_a_producer() -> None:
    assert WANTED[0].config == {
        "cleanup.policy": "delete",
        "retention.ms": "259200000",
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": "2",
    }


def test_replicas_are_the_brokers_own_affair_where_none_are_named() -> None:
    assert "min.insync.replicas" not in topics_of(8, 168)[0].config


def test_in_an_empty_cluster_all_are_created() -> None:
    plan = plan_topics(WANTED, {})

    assert plan.create == WANTED
    assert (plan.alter, plan.unlike) == ({}, {})


def test_what_is_as_wanted_is_left_alone() -> None:
    plan = plan_topics(WANTED, as_wanted())

    assert (plan.create, plan.alter, plan.unlike) == ((), {}, {})


def test_only_what_differs_is_set() -> None:
    states = as_wanted()
    states["event-changes"] = TopicState(32, {**WANTED[0].config, "retention.ms": "1"})

    plan = plan_topics(WANTED, states)

    assert plan.alter == {"event-changes": {"retention.ms": "259200000"}}


def test_a_topic_never_gets_more_partitions_as_a_users_events_would_change_places() -> None:
    plan = plan_topics(WANTED, as_wanted(partitions=8))

    assert plan.unlike == {"events": 8}
    assert (plan.create, plan.alter) == ((), {})
