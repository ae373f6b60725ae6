"""Gives an API what the emulator leaves out of it: gateway responses and the answers of CORS preflights.

And takes away what it cannot do: it looks for the key of a usage plan in a header only, not in the authorizer's answer.

MiniStack imports routes and authorizers of an OpenAPI body and drops these two; where an endpoint keeps them, nothing
happens here. It does honour both when they are set one by one, so they are read from the deployed template and set
that way: what callers see locally is what `template.yaml` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_runtime.deploy_stack import read_parameters

API = "Api"
OPTIONS = "OPTIONS"
OK = "200"
# The one response that every configuration of ours sets: where it is still the default, all were dropped.
TELLTALE_RESPONSE = "UNAUTHORIZED"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def complete_gateway(cloudformation: Any, apigateway: Any, stack_name: str, api_id: str, stage: str) -> bool:
    """Set what the endpoint dropped, lift what it cannot meet, and deploy it. Return whether that was needed."""
    was_lifted = _lift_key_requirement(apigateway, api_id)
    was_completed = _set_what_was_dropped(cloudformation, apigateway, stack_name, api_id)
    if was_lifted or was_completed:
        apigateway.create_deployment(restApiId=api_id, stageName=stage)
    return was_lifted or was_completed


def _lift_key_requirement(apigateway: Any, api_id: str) -> bool:
    """No usage plan counts requests here; the stage's own limits and the function's cap per key hold as on AWS."""
    lifted = [
        apigateway.update_method(
            restApiId=api_id,
            resourceId=resource["id"],
            httpMethod=name,
            # Emulators keep the text as it comes: "" is what all of them take for false.
            patchOperations=[{"op": "replace", "path": "/apiKeyRequired", "value": ""}],
        )
        for resource in apigateway.get_resources(restApiId=api_id, limit=500, embed=["methods"])["items"]
        for name, method in resource.get("resourceMethods", {}).items()
        if method.get("apiKeyRequired")
    ]
    return bool(lifted)


def _set_what_was_dropped(cloudformation: Any, apigateway: Any, stack_name: str, api_id: str) -> bool:
    present = apigateway.get_gateway_response(restApiId=api_id, responseType=TELLTALE_RESPONSE)
    if not present.get("defaultResponse", False):
        return False
    template = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    parameters = read_parameters(cloudformation, stack_name)
    body = resolve(template["Resources"][API]["Properties"]["Body"], parameters, template["Conditions"])
    for name, response in body["x-amazon-apigateway-gateway-responses"].items():
        apigateway.put_gateway_response(restApiId=api_id, responseType=name, **response)
    _answer_preflights(apigateway, api_id, body["paths"])
    return True


def resolve(value: Any, parameters: Mapping[str, str], conditions: Mapping[str, Any]) -> Any:
    """Return a part of the template with what depends on parameters alone replaced; the rest stays as it is."""
    resolved: Any = value
    match value:
        case {"Ref": name} if name in parameters:
            resolved = parameters[name]
        case {"Fn::Sub": str(text)}:
            resolved = _VARIABLE.sub(lambda variable: parameters.get(variable[1], variable[0]), text)
        case {"Fn::Equals": sides}:
            left, right = resolve(sides, parameters, conditions)
            resolved = left == right
        case {"Fn::If": [name, chosen, other]}:
            holds = resolve(conditions[name], parameters, conditions)
            resolved = resolve(chosen if holds else other, parameters, conditions)
        case dict():
            resolved = {key: resolve(item, parameters, conditions) for key, item in value.items()}
        case list():
            resolved = [resolve(item, parameters, conditions) for item in value]
    return resolved


def _answer_preflights(apigateway: Any, api_id: str, paths: Mapping[str, Any]) -> None:
    resources = apigateway.get_resources(restApiId=api_id, limit=500)["items"]
    for resource in resources:
        operation = paths.get(resource["path"], {}).get("options")
        if operation is None:
            continue
        method = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": OPTIONS, "statusCode": OK}
        answer = operation["x-amazon-apigateway-integration"]["responses"]["default"]
        headers = answer["responseParameters"]
        apigateway.put_method_response(**method, responseParameters=dict.fromkeys(headers, False))
        apigateway.put_integration_response(
            **method, responseParameters=headers, responseTemplates=answer["responseTemplates"]
        )
