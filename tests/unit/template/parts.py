"""`template.yaml`, read once, and its resources by type."""

from typing import Any

from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY

TEMPLATE = read_template(REPOSITORY / "template.yaml")


RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]


def of_type(resource_type: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == resource_type}


FUNCTIONS = of_type("AWS::Serverless::Function")


MAPPINGS = of_type("AWS::Lambda::EventSourceMapping")


LOG_GROUPS = of_type("AWS::Logs::LogGroup")
