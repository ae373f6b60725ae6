"""Reads `template.yaml` as plain dictionaries, with CloudFormation's short tags in their long form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_ALREADY_LONG = frozenset({"Ref", "Condition"})


class _TemplateLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Knows !Ref, !GetAtt and the other short tags; PyYAML's own loader stays as it is."""


def _construct_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in _ALREADY_LONG else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _construct_tag)


def read_template(path: Path) -> dict[str, Any]:
    """Return the template; `!Ref X` reads as {"Ref": "X"}, `!If [...]` as {"Fn::If": [...]}."""
    with path.open(encoding="utf-8") as stream:
        document = yaml.load(stream, Loader=_TemplateLoader)  # noqa: S506 - a subclass of SafeLoader # nosec B506
    if not isinstance(document, dict) or "Resources" not in document:
        raise ValueError(f"{path} is no CloudFormation template")
    return document
