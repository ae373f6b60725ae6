"""Each stage beside its limit and beside what others would use: same records, same table, same machine, in turns.

The functions run in processes of this bench with the environment of the deployed ones; the trigger is stopped for them.
The consumer loops of the rivals read what trigger and load have read before them, from the same topic.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.kafka_topic_offsets import KafkaTopicOffsets
from event_analytics.routing import EVENTS_TOPIC
from scripts.bench.brief import STEPS, Work, mint_work, records_of
from scripts.bench.embedded import Say, Target
from scripts.bench.figures import ratios_of, spread_of
from scripts.bench.rivals.record_files import write_records
from scripts.bench.subjects import Subject, own_command, rival_command, running

CREATES: Final = STEPS[0]
LOOPS: Final = ("plain_loop", "quixstreams_loop", "faststream_loop")
INGEST: Final = ("ingest", "kafka_python_produce", "librdkafka_produce", "chalice_ingest", "powertools_ingest")
LOADS: Final = ("load", "bare-insert", "archive", "gzip")
OWN: Final = ("ingest", *LOADS)
KEY_UNLIMITED: Final = {"KEY_BYTES_PER_SECOND": "0"}  # one worker gets here what many share

Answers = dict[str, list[dict[str, Any]]]


class Amount(NamedTuple):
    """How many records a turn has, and how many turns."""

    loop_records: int = 50_000
    loop_rounds: int = 2
    ingest_records: int = 20_000
    load_records: int = 40_000
    stage_rounds: int = 3


class Stages:
    """Measures one stack. `folder` takes the files of records."""

    def __init__(self, target: Target, folder: Path, amount: Amount, say: Say) -> None:
        self._target, self._folder, self._amount, self._say = target, folder, amount, say
        self._records, self._requests = folder / "records", folder / "requests"
        folder.mkdir(parents=True, exist_ok=True)

    def measure(self) -> dict[str, Any]:
        """All figures of the stages and of the loops."""
        loops = self._take_turns((*LOOPS, "librdkafka_produce"), self._amount.loop_rounds, self._run_loops)
        self._target.stack.kill("trigger")
        ingest = self._take_turns(INGEST, self._amount.stage_rounds, self._run_ingest)
        load = self._take_turns(LOADS, self._amount.stage_rounds, self._run_load)
        return {**describe_stages(ingest, load, loops)}

    def _take_turns(
        self, names: Sequence[str], rounds: int, run: Callable[[Mapping[str, Subject], int], Mapping[str, Any]]
    ) -> Answers:
        """What each answered in each round. The first round is not counted: it connects and fills caches."""
        answers: Answers = {}
        with ExitStack() as around:
            subjects = {name: around.enter_context(running(name, *self._command(name))) for name in names}
            for turn in range(rounds + 1):
                for name, answer in run(subjects, turn).items():
                    if turn:
                        answers.setdefault(name, []).append(answer)
        for name, each in answers.items():
            self._say(f"{name}: {spread_of([rate_of(answer) for answer in each], 0)['median']:,.0f}/s")
        return answers

    def _command(self, name: str) -> tuple[list[str], Mapping[str, str]]:
        if name not in OWN:
            return rival_command(name), {}
        function = {"bare-insert": "load", "gzip": "archive"}.get(name, name)
        return [*own_command("scripts.bench.own_stages"), name], self._environment_of(function)

    def _environment_of(self, function: str) -> dict[str, str]:
        """The variables of the deployed function, and what Lambda adds."""
        connection = self._target.connection
        client = aws_session(connection.aws_endpoint).client("lambda")
        listed = client.get_paginator("list_functions").paginate()
        every = [entry for page in listed for entry in page["Functions"]]
        client.close()
        prefix = f"{connection.stack_name}-{function.capitalize()}Function-"
        variables = next(
            entry["Environment"]["Variables"] for entry in every if entry["FunctionName"].startswith(prefix)
        )
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**variables, **KEY_UNLIMITED, **credentials, "AWS_ENDPOINT_URL": connection.aws_endpoint}

    def _prepare(self, records: int) -> Work:
        work = mint_work(records)
        write_records(self._records, records_of(CREATES, work))
        requests = (
            proxy_event(work.events.creates(batch), self._target.connection.write_key) for batch in range(work.batches)
        )
        self._requests.write_bytes(b"\n".join(requests))
        return work

    def _run_loops(self, subjects: Mapping[str, Subject], turn: int) -> dict[str, Any]:
        target, records = self._target, self._amount.loop_records
        self._prepare(records)
        offsets = KafkaTopicOffsets(target.connection.kafka, "plaintext", "bench").ends(EVENTS_TOPIC)
        self._empty_table()
        delivered = target.committed(CREATES.mapping)
        began = subjects["librdkafka_produce"].run(**self._produce_job())["began"]
        target.wait_until_committed(CREATES.mapping, delivered + records)
        answers = {"trigger_and_load": {"records": records, "seconds": time.monotonic() - began}}
        target.wait_until_delivered()
        for name in in_turn(LOOPS, turn):
            self._empty_table()
            answer = subjects[name].run(
                **self._produce_job(),
                clickhouse=target.connection.clickhouse_url,
                group=f"{name}-{turn}",
                offsets=offsets,
                records=records,
            )
            answers[name] = {**answer, "seconds": answer["loop_seconds"]}
        return answers

    def _run_ingest(self, subjects: Mapping[str, Subject], turn: int) -> dict[str, Any]:
        answers = {}
        for name in in_turn(INGEST, turn):
            self._prepare(self._amount.ingest_records)
            job = {**self._produce_job(), "records": self._amount.ingest_records}
            if not name.endswith("_produce"):
                job["file"] = str(self._requests)
            answers[name] = subjects[name].run(**job)
        return answers

    def _run_load(self, subjects: Mapping[str, Subject], turn: int) -> dict[str, Any]:
        answers = {}
        for name in in_turn(LOADS, turn):
            self._prepare(self._amount.load_records)
            self._empty_table()
            answers[name] = subjects[name].run(
                file=str(self._records), clickhouse=self._target.connection.clickhouse_url
            )
        return answers

    def _produce_job(self) -> dict[str, Any]:
        return {"bootstrap": self._target.connection.kafka, "topic": EVENTS_TOPIC, "file": str(self._records)}

    def _empty_table(self) -> None:
        self._target.store.command("TRUNCATE TABLE events")


def in_turn(names: Sequence[str], turn: int) -> Sequence[str]:
    """The names, in every other turn backwards: who comes first has no advantage."""
    return names[::-1] if turn % 2 else names


def rate_of(answer: Mapping[str, Any]) -> float:
    """Records a second."""
    return float(answer["records"]) / float(answer["seconds"])


def proxy_event(body: bytes, key: str) -> bytes:
    """A request as a REST API hands it to a function."""
    empty = ("multiValueQueryStringParameters", "queryStringParameters", "pathParameters", "stageVariables")
    return json.dumps(
        {
            "resource": "/events",
            "path": "/events",
            "httpMethod": "POST",
            "requestContext": {"httpMethod": "POST", "resourcePath": "/events", "stage": "v1", "path": "/v1/events"},
            "headers": {"authorization": f"Bearer {key}", "content-type": "application/json"},
            "isBase64Encoded": False,
            "body": body.decode(),
            **dict.fromkeys(empty),
        }
    ).encode()


def describe_stages(ingest: Answers, load: Answers, loops: Answers) -> dict[str, Any]:
    """Rates of all, and the ratios that targets are set for; each ratio is of the same turn."""
    rates = {name: [rate_of(answer) for answer in answers] for name, answers in {**ingest, **load, **loops}.items()}
    step = [answer["records"] / (answer["seconds"] - answer["unpack_seconds"]) for answer in load["load"]]
    rival_steps = {name: [one["records"] / one["step_seconds"] for one in loops[name]] for name in LOOPS}
    best_step = max(spread_of(each)["median"] for each in rival_steps.values())
    best_loop = max(spread_of(rates[name])["median"] for name in LOOPS)
    best_ingest = [max(pair) for pair in zip(rates["chalice_ingest"], rates["powertools_ingest"], strict=True)]
    return {
        "ingest_events_per_s": _spreads({name: rates[name] for name in INGEST}),
        "load_events_per_s": _spreads({name: rates[name] for name in LOADS}),
        "values_to_rows_per_s": _spreads({"load": step, **rival_steps}),
        "whole_loop_events_per_s": _spreads({name: rates[name] for name in ("trigger_and_load", *LOOPS)}),
        "ratios": {
            "ingest_vs_kafka_python": ratios_of(rates["ingest"], rates["kafka_python_produce"]),
            "ingest_vs_librdkafka": ratios_of(rates["ingest"], rates["librdkafka_produce"]),
            "ingest_vs_best_rival": ratios_of(rates["ingest"], best_ingest),
            "load_vs_bare_insert": ratios_of(rates["load"], rates["bare-insert"]),
            "load_vs_best_rival": ratios_of(step, [best_step] * len(step)),
            "trigger_and_load_vs_best_loop": ratios_of(
                rates["trigger_and_load"], [best_loop] * len(rates["trigger_and_load"])
            ),
            "archive_vs_gzip": ratios_of(rates["archive"], rates["gzip"]),
        },
    }


def _spreads(rates: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {name: spread_of(values, 0) for name, values in rates.items()}
