"""How many environments of ingest may run at once, from how many connections the brokers take.

Each environment keeps one producer. It opens one connection to every broker that leads a partition, and one to the
broker that it asked first, which may be any: at worst two to one broker, or one to each and one more to a cluster that
counts its connections as one.
"""

import math
from collections.abc import Mapping
from typing import Final

# https://docs.aws.amazon.com/msk/latest/developerguide/limits.html (IAM access control)
CONNECTIONS_PER_BROKER: Final = 3_000
CONNECTIONS_PER_SMALL_BROKER: Final = 300  # kafka.t3.small
CONNECTIONS_PER_SERVERLESS_CLUSTER: Final = 3_000
SERVERLESS_BROKERS: Final = 3  # one name per zone answers
USED_SHARE_MAX: Final = 0.8  # a new version's environments overlap with the old one's while Lambda replaces them
OTHERS: Final = 400  # pollers of five mappings, report, replay, admin, setup, dead letters of load
LAMBDA_CONCURRENCY_DEFAULT: Final = 1_000  # of a new account; 100 of it always stay for functions that reserve nothing
LEFT_TO_OTHERS: Final = 200  # of Lambda's: query, load, archive and the authorizer run beside ingest


def derive_ingest_concurrency(streaming: Mapping[str, str]) -> int:
    """The largest number that no quota forbids. `streaming`: parameters of that stack, as far as they were set."""
    if streaming.get("Kind", "serverless") == "serverless":
        connections, per_environment = CONNECTIONS_PER_SERVERLESS_CLUSTER, SERVERLESS_BROKERS + 1
    else:
        is_small = streaming.get("BrokerType") == "kafka.t3.small"
        connections, per_environment = (CONNECTIONS_PER_SMALL_BROKER if is_small else CONNECTIONS_PER_BROKER), 2
    others = min(OTHERS, connections // 3)  # on a small broker the others get a third and queue
    by_brokers = math.floor((connections * USED_SHARE_MAX - others) / per_environment)
    return max(1, min(by_brokers, LAMBDA_CONCURRENCY_DEFAULT - LEFT_TO_OTHERS))
