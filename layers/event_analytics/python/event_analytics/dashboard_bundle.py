"""The dashboard's modules -> one script: a browser that asks for twenty files asks for twenty functions at once.

Not a compiler: it takes the two forms that our modules are written in, imports of names from a neighbour and exports
of declarations, each on a line of its own, and puts every module into a function of its own. Anything else is refused,
so that a module that would mean something else here than in a browser does not get through its tests.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_IMPORT: Final = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)
_LEFT_OVER: Final = re.compile(r"^(?:import|export)\b|\bimport[.(]", re.MULTILINE)


def bundle_modules(modules: Mapping[str, str], entry: str) -> str:
    """One classic script that runs the modules `entry` needs, each once and after those that it imports.

    Raises:
        ValueError: a module imports what is not there, or itself by a detour, or is written in another form.
    """
    ordered: dict[str, str] = {}
    _add(entry, {name: _read(source) for name, source in modules.items()}, ordered, ())
    body = "\n".join(f"// {name}\nmodules[{name!r}] = (() => {{\n{text}}})();" for name, text in ordered.items())
    return f'(() => {{\n"use strict";\nconst modules = {{}};\n{body}\n}})();\n'


class _Module(NamedTuple):
    source: str
    imports: list[tuple[str, str]]
    exports: list[str]


def _read(source: str) -> _Module:
    return _Module(source, _IMPORT.findall(source), [name for _, name in _EXPORT.findall(source)])


def _add(name: str, modules: Mapping[str, _Module], ordered: dict[str, str], importers: tuple[str, ...]) -> None:
    if name in ordered:
        return
    if name in importers:
        raise ValueError(f"{' -> '.join((*importers, name))}: modules import each other in a circle")
    if name not in modules:
        raise ValueError(f"{importers[-1] if importers else 'nobody'} imports {name}, which is not there")
    for names, imported in modules[name].imports:
        _add(imported, modules, ordered, (*importers, name))
        missing = set(names.split(", ")) - set(modules[imported].exports)
        if missing:
            raise ValueError(f"{name} imports {', '.join(sorted(missing))}, which {imported} does not export")
    ordered[name] = _wrap(name, modules[name])


def _wrap(name: str, module: _Module) -> str:
    text = _IMPORT.sub(r'const { \1 } = modules["\2"];', module.source)
    text = _EXPORT.sub(r"\1 \2", text)
    if left := _LEFT_OVER.search(text):
        raise ValueError(f"{name}: {text[left.start() :].partition(chr(10))[0]!r} is no form that is bundled")
    return f"{text}\nreturn {{ {', '.join(module.exports)} }};\n"
