"""Turns `template.yaml` and its folders into what CloudFormation can read: code in S3, the text as JSON."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_runtime.sam_template import read_template
from local_runtime.zip_files import source_files, zip_files, zip_source

TEMPLATE_BODY_BYTES_MAX = 51_200  # CloudFormation takes more only by TemplateURL
THIRD_PARTY_LAYER = "ThirdPartyLayer"
USAGE_PLAN_PROPERTIES = ("ApiKeyRequired", "AddApiKeyRequiredToCorsPreflight")
SHARED_LAYER = Path("layers/event_analytics/python")
CODE_PROPERTIES = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
# Where the files of a layer stand in its zip; Lambda puts /opt/python on the path.
LAYER_PREFIX = "python/"


@dataclass(frozen=True)
class PackagedTemplate:
    """A template whose code lies in S3. Its own copy does too, for endpoints that take it only from there."""

    body: str
    bucket: str
    key: str

    def at(self, endpoint_url: str, body_bytes_max: int = TEMPLATE_BODY_BYTES_MAX) -> dict[str, str]:
        """Return the argument of create_stack or update_stack that carries the template."""
        if len(self.body.encode()) <= body_bytes_max:
            return {"TemplateBody": self.body}
        return {"TemplateURL": f"{endpoint_url}/{self.bucket}/{self.key}"}


def package_template(
    repository: Path, third_party_layer: Path, s3: Any, bucket: str, *, is_bundled: bool = False
) -> PackagedTemplate:
    """Upload the code of every function and layer and return the template that points at it.

    `is_bundled`: each function carries what its layers hold, for an endpoint that keeps layers and does not use them.
    Nor does it run an authorizer, which names the key that a usage plan counts: so no route asks the gateway for one.

    A key is the hash of its content: what is there already is not sent again, and a change of code is a change
    of the template, which is what makes CloudFormation update the function.
    """
    present = _open_bucket(s3, bucket)
    template = read_template(repository / "template.yaml")
    if is_bundled:
        lift_usage_plan(template["Resources"])
    bundle = zip_layers(third_party_layer, repository / SHARED_LAYER) if is_bundled else b""
    for name, resource in template["Resources"].items():
        property_name = CODE_PROPERTIES.get(resource["Type"])
        if property_name is None:
            continue
        if name == THIRD_PARTY_LAYER:
            content = third_party_layer.read_bytes()
        else:
            content = _zip_code(repository / resource["Properties"][property_name], resource["Type"], bundle)
        key = f"{name}-{hashlib.sha256(content).hexdigest()[:32]}.zip"
        if key not in present:
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        resource["Properties"][property_name] = f"s3://{bucket}/{key}"
    body = json.dumps(template, separators=(",", ":"), default=str)
    key = f"template-{hashlib.sha256(body.encode()).hexdigest()[:32]}.json"
    if key not in present:
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
    return PackagedTemplate(body, bucket, key)


def lift_usage_plan(resources: dict[str, Any]) -> None:
    """Take out of a template's API and routes that the gateway asks for a key of its own."""
    events = [event for each in resources.values() for event in each["Properties"].get("Events", {}).values()]
    for properties in (resources["Api"]["Properties"], *(event["Properties"] for event in events)):
        for name in USAGE_PLAN_PROPERTIES:
            properties.get("Auth", {}).pop(name, None)


def zip_layers(third_party_layer: Path, shared_layer: Path) -> bytes:
    """Return the zip of what a function finds on its path because of its layers."""
    with zipfile.ZipFile(third_party_layer) as layer:
        found = {name.removeprefix(LAYER_PREFIX): layer.read(name) for name in layer.namelist()}
    return zip_files(found | {name: path.read_bytes() for path, name in source_files(shared_layer)})


def _zip_code(folder: Path, resource_type: str, bundle: bytes) -> bytes:
    if not folder.is_dir():
        raise FileNotFoundError(f"template.yaml names {folder}, which does not exist")
    if resource_type == "AWS::Serverless::Function":
        return zip_source(folder, beside=bundle)
    return zip_source(folder / "python", LAYER_PREFIX)


def _open_bucket(s3: Any, bucket: str) -> set[str]:
    """Return the keys of the bucket, which is created when it is missing."""
    if bucket not in {entry["Name"] for entry in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)
        return set()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}
