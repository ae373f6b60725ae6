"""Writes what the package promises: `python tests/public_api.py > public_api.txt`, from the folder of the SDK.

Every exported name with its signature, fields and members; the command with its options.
"""

import dataclasses
import inspect
import sys
from collections.abc import Iterator

import click

import tallystream
from tallystream.cli.app import tallystream as command


def describe() -> str:
    """The promise, a line each."""
    lines = [line for name in sorted(tallystream.__all__, key=str.casefold) for line in _describe(name)]
    return "\n".join([*lines, *_describe_command()]) + "\n"


def _describe(name: str) -> Iterator[str]:
    value = getattr(tallystream, name)
    if not inspect.isclass(value):
        yield f"{name} = {value!r}" if name != "__version__" else name
        return
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    yield f"class {name}({bases})" if bases else f"class {name}"
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            yield f"    {field.name}: {field.type}{'' if is_required else ' = ...'}"
    elif issubclass(value, tuple):
        for field_name in value._fields:
            annotation = value.__annotations__[field_name]
            yield f"    {field_name}: {getattr(annotation, '__forward_arg__', annotation)}"
    elif name.endswith("Client"):
        yield f"    __init__{_signature(value.__init__)}"
    for member_name, member in sorted(inspect.getmembers(value)):
        if member_name.startswith("_") or not _is_ours(value, member_name):
            continue
        if inspect.isfunction(member):
            yield f"    {'async ' if inspect.iscoroutinefunction(member) else ''}{member_name}{_signature(member)}"
        elif isinstance(member, bool):
            yield f"    {member_name} = {member}"


def _is_ours(value: type, name: str) -> bool:
    owner = next(kind for kind in value.__mro__ if name in vars(kind))
    return owner.__module__.startswith("tallystream")


def _signature(function: object) -> str:
    return str(inspect.signature(function)).replace("'", "")  # type: ignore[arg-type]


def _describe_command() -> Iterator[str]:
    for name, sub in sorted(command.commands.items()):
        options = sorted(
            "/".join([*parameter.opts, *parameter.secondary_opts])
            if isinstance(parameter, click.Option)
            else parameter.name
            for parameter in sub.params
        )
        yield f"$ tallystream {name} {' '.join(map(str, options))}"


if __name__ == "__main__":
    sys.stdout.write(describe())
