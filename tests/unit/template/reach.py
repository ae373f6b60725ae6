"""What a function can do to the world, read from its source: which methods of a port its code gets to.

From everything in `app.py` on, a name leads to what it stands for: a function, a whole class, a constant. A method of a
port is called where a name that is annotated as the port has it taken from (`deps.objects.get`, `self._spool.delete`).
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from local_runtime.settings import REPOSITORY

PACKAGES = REPOSITORY / "layers/event_analytics/python"


class Module(NamedTuple):
    """`units`: its top-level names, each with its code. `imports`: local name -> module and name over there."""

    units: dict[str, ast.AST]
    imports: dict[str, tuple[str, str]]


@cache
def read_module(file: Path) -> Module:
    tree = ast.parse(file.read_text("utf-8"))
    units: dict[str, ast.AST] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            imports |= {each.asname or each.name: (str(node.module), each.name) for each in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            units[node.name] = node
        else:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
            units |= {name: node for target in targets for name in names_in(target) or {f"line {node.lineno}"}}
    return Module(units, imports)


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def file_of(module: str) -> Path | None:
    """Of a module of ours; None for any other."""
    place = PACKAGES.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def reached_from(app: Path) -> list[ast.AST]:
    """All code that the module uses, its own included; adapters stand behind ports and are left out."""
    to_do = [(app, name) for name in read_module(app).units]
    done: dict[tuple[Path, str], ast.AST] = {}
    while to_do:
        place = to_do.pop()
        module = read_module(place[0])
        if place in done or place[1] not in module.units:
            continue
        done[place] = module.units[place[1]]
        to_do += [(place[0], name) for name in names_in(done[place])]
        imported = [module.imports[name] for name in names_in(done[place]) if name in module.imports]
        to_do += [(file, name) for source, name in imported if ".adapters" not in source and (file := file_of(source))]
    return list(done.values())


def calls_of_port(app: Path, ports: set[str]) -> set[str]:
    """Names of the attributes that the code takes from what is annotated as one of the ports."""
    code = reached_from(app)
    holders = {name.strip("_") for node in code for name in annotated_with(node, ports)}
    attributes = [each for node in code for each in ast.walk(node) if isinstance(each, ast.Attribute)]
    return {each.attr for each in attributes if last_name_of(each.value).strip("_") in holders}


def annotated_with(node: ast.AST, ports: set[str]) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.arg | ast.AnnAssign) and each.annotation and names_in(each.annotation) & ports:
            yield each.arg if isinstance(each, ast.arg) else last_name_of(each.target)


def last_name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def method_code(file: Path, class_name: str) -> dict[str, str]:
    """The methods of a class, each with its own source and that of the private methods that it calls on itself."""
    body = read_module(file).units[class_name]
    assert isinstance(body, ast.ClassDef)
    own = {node.name: ast.unparse(node) for node in body.body if isinstance(node, ast.FunctionDef)}
    private = [name for name in own if name.startswith("_") and not name.startswith("__")]
    return {
        name: "\n".join([source, *(own[each] for each in private if f"self.{each}(" in source)])
        for name, source in own.items()
        if not name.startswith("_")
    }
