from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local_runtime.kafka_trigger.mapping import MappingRefused
from local_runtime.kafka_trigger.template import load_template, read_mappings

REPOSITORY = Path(__file__).resolve().parents[3]

TEMPLATE = """
Parameters:
  KafkaEventSource: {Type: String, Default: none}
  Size: {Type: Number, Default: 500}
  Topic: {Type: String, Default: events}
  ClusterArn: {Type: String, Default: ""}
Conditions:
  UseMsk: !Equals [!Ref KafkaEventSource, msk]
  UseSelfManaged: !And [!Not [!Condition UseMsk], !Equals [!Ref KafkaEventSource, self-managed]]
Resources:
  Other: {Type: AWS::S3::Bucket}
  QueueMapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Load, EventSourceArn: !GetAtt Queue.Arn}
  Load: {Type: AWS::Serverless::Function}
  LoadMapping:
    Type: AWS::Lambda::EventSourceMapping
    Condition: UseMsk
    Properties:
      FunctionName: !GetAtt Load.Arn
      Topics: [!Sub "${Topic}"]
      BatchSize: !Ref Size
      EventSourceArn: !If [UseMsk, !Ref ClusterArn, !Ref AWS::NoValue]
      AmazonManagedKafkaEventSourceConfig: !If
        - UseMsk
        - ConsumerGroupId: !Join ["-", [!Ref AWS::StackName, load]]
        - !Ref AWS::NoValue
      SelfManagedEventSource: !If
        - UseSelfManaged
        - Endpoints: {KafkaBootstrapServers: !Split [",", "a:1,b:2"]}
        - !Ref AWS::NoValue
      SelfManagedKafkaEventSourceConfig: !If
        - UseSelfManaged
        - {ConsumerGroupId: self-load}
        - !Ref AWS::NoValue
"""


@dataclass
class FakeStack:
    name: str = "stack"
    values: dict[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, str]:
        return self.values

    def physical_id(self, logical_id: str) -> str:
        return f"{self.name}-{logical_id}-X1"


def write(tmp_path: Path, text: str = TEMPLATE) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_mapping_of_a_stack_without_event_source_is_played_as_msk(tmp_path: Path) -> None:
    (mapping,) = read_mappings(load_template(write(tmp_path)), FakeStack())

    assert (mapping.name, mapping.function, mapping.topic) == ("LoadMapping", "stack-Load-X1", "events")
    assert (mapping.group, mapping.batch_size, mapping.event_source) == ("stack-load", 500, "aws:kafka")
    assert str(mapping.event_source_arn).startswith("arn:aws:kafka:")


def test_values_of_the_deployed_stack_win_over_defaults(tmp_path: Path) -> None:
    stack = FakeStack(values={"KafkaEventSource": "self-managed", "Size": "7", "Topic": "other"})
    (mapping,) = read_mappings(load_template(write(tmp_path)), stack)

    assert (mapping.topic, mapping.batch_size, mapping.group) == ("other", 7, "self-load")
    assert (mapping.event_source, mapping.event_source_arn) == ("SelfManagedKafka", None)


def test_intrinsic_that_is_not_understood_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, TEMPLATE.replace("!Ref Size", "!FindInMap [a, b, c]"))

    with pytest.raises(MappingRefused, match="Fn::FindInMap"):
        read_mappings(load_template(path), FakeStack())


@pytest.mark.parametrize("text", ["a: [", "Parameters: {}", ""])
def test_file_that_is_no_template_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MappingRefused, match="template"):
        load_template(write(tmp_path, text))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingRefused, match="cannot be read"):
        load_template(tmp_path / "none.yaml")


@pytest.mark.parametrize("source", ["none", "msk", "self-managed"])
def test_mappings_of_the_projects_own_template_can_be_played(source: str) -> None:
    stack = FakeStack(values={"KafkaEventSource": source})
    mappings = read_mappings(load_template(REPOSITORY / "template.yaml"), stack)

    streams = {mapping.name: (mapping.topic, mapping.group) for mapping in mappings}
    assert streams == {
        "LoadEventsMapping": ("events", "tallystream-load"),
        "LoadChangesMapping": ("event-changes", "tallystream-load-changes"),
        "LoadReplayMapping": ("events-replay", "tallystream-load-replay"),
        "ArchiveEventsMapping": ("events", "tallystream-archive"),
        "ArchiveChangesMapping": ("event-changes", "tallystream-archive-changes"),
    }
    assert {mapping.window_ms % 1000 for mapping in mappings} == {0}
