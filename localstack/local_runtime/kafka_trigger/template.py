"""The Kafka mappings of a CloudFormation template, with its intrinsics resolved as far as mappings use them.

Values come from the deployed stack, then from the template's defaults. A parameter `KafkaEventSource` of `none`
means that the endpoint cannot run mappings itself: the template's condition leaves them out of the stack, and
this trigger plays them, as `msk`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from local_runtime.kafka_trigger.mapping import Mapping, MappingRefused
from local_runtime.kafka_trigger.properties import read_properties

MAPPING_TYPE = "AWS::Lambda::EventSourceMapping"
EVENT_SOURCE_PARAMETER = "KafkaEventSource"
PLAYED_LOCALLY = "none"
PLAYED_AS = "msk"
NO_VALUE = object()
_REFERENCE = re.compile(r"\$\{([^!}][^}]*)\}")


class Stack(Protocol):
    """What the template needs from the deployed stack; raises MappingRefused when it cannot tell."""

    name: str

    def parameters(self) -> dict[str, str]:
        """Return the parameter values."""

    def physical_id(self, logical_id: str) -> str:
        """Return a resource's physical name."""


class _TemplateLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML with CloudFormation's short tags."""


def _construct_tag(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _construct_tag)


def load_template(path: Path) -> dict[str, Any]:
    """Return the template as plain values, intrinsics in their long form.

    Raises:
        MappingRefused: the file is missing or no template.
    """
    try:
        text = path.read_text(encoding="utf-8")
        template = yaml.load(text, Loader=_TemplateLoader)  # noqa: S506 - it is a SafeLoader # nosec B506
    except (OSError, yaml.YAMLError) as error:
        raise MappingRefused(f"template {path} cannot be read: {error}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise MappingRefused(f"template {path} has no Resources")
    return template


def read_mappings(template: MappingOf[str, Any], stack: Stack) -> list[Mapping]:
    """Return the template's Kafka mappings in the template's order.

    Raises:
        MappingRefused: one of them cannot be played.
    """
    resolver = Resolver(template, stack, _read_parameters(template, stack))
    resources = template["Resources"].items()
    names = [name for name, resource in resources if resource.get("Type") == MAPPING_TYPE]
    resolved = {name: resolver.resolve(template["Resources"][name].get("Properties", {})) for name in names}
    kafka = {name: properties for name, properties in resolved.items() if "Topics" in properties}
    return [read_properties(name, properties) for name, properties in kafka.items()]


def _read_parameters(template: MappingOf[str, Any], stack: Stack) -> dict[str, str]:
    declared = template.get("Parameters", {}).items()
    values = {name: str(parameter["Default"]) for name, parameter in declared if "Default" in parameter}
    values |= stack.parameters()
    if values.get(EVENT_SOURCE_PARAMETER) == PLAYED_LOCALLY:
        values[EVENT_SOURCE_PARAMETER] = PLAYED_AS
    return values


@dataclass(frozen=True)
class Resolver:
    """CloudFormation's intrinsics over known parameters; resources are looked up in the stack when asked for."""

    template: MappingOf[str, Any]
    stack: Stack
    parameters: MappingOf[str, str]

    def resolve(self, value: Any) -> Any:
        """Return the value without intrinsics; what resolves to AWS::NoValue is left out of its parent."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._apply(name, argument)
        members = {key: self.resolve(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not NO_VALUE}

    def is_true(self, condition: Any) -> bool:
        """Return the outcome of a condition, named or written out."""
        if isinstance(condition, str):
            try:
                return self.is_true(self.template["Conditions"][condition])
            except KeyError as error:
                raise MappingRefused(f"the template has no condition {condition}") from error
        ((name, argument),) = condition.items()
        decide: dict[str, Callable[[], bool]] = {
            "Condition": lambda: self.is_true(argument),
            "Fn::Equals": lambda: str(self.resolve(argument[0])) == str(self.resolve(argument[1])),
            "Fn::Not": lambda: not self.is_true(argument[0]),
            "Fn::And": lambda: all(map(self.is_true, argument)),
            "Fn::Or": lambda: any(map(self.is_true, argument)),
        }
        if name not in decide:
            raise MappingRefused(f"{name} in a condition is not understood")
        return decide[name]()

    def _apply(self, name: str, argument: Any) -> Any:
        apply: dict[str, Callable[[], Any]] = {
            "Ref": lambda: self._refer(argument),
            "Fn::If": lambda: self.resolve(argument[1 if self.is_true(argument[0]) else 2]),
            # The one attribute a mapping uses is a function's Arn, and Invoke takes the name in its place.
            "Fn::GetAtt": lambda: self._refer(argument[0]),
            "Fn::Sub": lambda: self._substitute(argument),
            "Fn::Join": lambda: argument[0].join(map(str, self.resolve(argument[1]))),
            "Fn::Split": lambda: str(self.resolve(argument[1])).split(argument[0]),
            "Fn::Select": lambda: self.resolve(argument[1])[int(self.resolve(argument[0]))],
        }
        if name not in apply:
            raise MappingRefused(f"{name} is not understood in a mapping")
        return apply[name]()

    def _refer(self, name: str) -> Any:
        pseudo = {
            "AWS::NoValue": NO_VALUE,
            "AWS::StackName": self.stack.name,
            "AWS::Partition": "aws",
            "AWS::Region": "us-east-1",
            "AWS::AccountId": "000000000000",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            kind = self.template.get("Parameters", {}).get(name, {}).get("Type", "String")
            value = self.parameters[name]
            return value.split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else value
        return self.stack.physical_id(name)

    def _substitute(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            return str(self.resolve(names[name]) if name in names else self._refer(name.removesuffix(".Arn")))

        return _REFERENCE.sub(replace, text).replace("${!", "${")
