"""Imports go one way: the core is one list, and a name of it imports only from those that stand before it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "src" / "taskiq_flow"

THIRD_PARTY = {
    "taskiq",
    "taskiq_dependencies",  # a part of taskiq that has a name of its own
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "pluggy",
    "attrs",
    "attr",
    "importlib_metadata",
    "tomli",  # the standard library's tomllib, on Python 3.10
}

# The modules and folders of the core, each behind all that it may import. A folder is one name: inside it, imports are
# free. Imports for type checkers alone do not count, since nothing runs by them; imports inside of functions do.
LAYERS = (
    "_lazy",
    "_light",
    "_words",
    "_earlier_names",
    "_wire_forms",
    "_groups",
    "_logs",
    "_metadata",
    "clock",
    "_background",
    "terminal",
    "command",
    "hookspecs",
    "payloads",
    "errors",
    "_taskiq",
    "serializer",
    "discoverer",
    "scheduler",
    "retry",
    "pools",
    "graph",
    "machine",
    "store",
    "waiting",
    "_runtime",
    "schedulers",
    "serializers",
    "typed",
    "discoverers",
    "retries",
    "stores",
    "tasks",
    "wiring",
    "values",
    "messages",
    "testing",
    "plugins",
    "worker",
    "discovery",
    "driver",
    "rehearsal",
    "explaining",
    "submission",
    "_assembly",
    "handle",
    "flow",
    "middleware",
    "builders",
    "targets",
)
PLACES = {name: place for place, name in enumerate(LAYERS)}

# What third parties import. Whatever else stands at the top level begins with an underscore, or is a folder.
PUBLIC = {
    "clock",
    "command",
    "discoverer",
    "errors",
    "flow",
    "handle",
    "hookspecs",
    "middleware",
    "payloads",
    "pools",
    "rehearsal",
    "retry",
    "scheduler",
    "serializer",
    "store",
    "targets",
    "terminal",
    "typed",
    "waiting",
}
# Folders whose door is public too; of the kits for tests, every module is.
DOORS = {"discoverers", "discovery", "explaining", "graph", "plugins", "testing"}
# Stores keep events and commands print them, so the words of the log are open to plugins.
LOG = {"machine.events", "machine.wire"}

MACHINE_FREE_OF = {"asyncio", "time", "datetime", "threading", "taskiq", "pluggy", "random", "logging"}


def imports(source: Path) -> Iterator[tuple[str, int]]:
    """Each module that a file imports at run time, with the line."""
    yield from _imports(ast.parse(source.read_text(encoding="utf-8")))


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _imports(other)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            module = node.module or ""
            # `from taskiq_flow import errors` is an import of the module taskiq_flow.errors.
            for alias in node.names:
                below = CORE / module.partition(".")[2].replace(".", "/") / alias.name
                inside = module.partition(".")[0] == "taskiq_flow"
                is_module = inside and (below.is_dir() or below.with_suffix(".py").exists())
                yield (f"{module}.{alias.name}" if is_module else module), node.lineno
        else:
            yield from _imports(node)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(CORE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_the_core_needs_only_what_it_declares() -> None:
    known = THIRD_PARTY | {"taskiq_flow", "tomllib"} | set(sys.stdlib_module_names)
    strangers = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE)
        for module, line in imports(path)
        if module.partition(".")[0] not in known
        # The kits offer thin pytest classes and work without pytest.
        and not (layer_of(path) == "testing" and module.partition(".")[0] == "pytest")
    ]
    assert strangers == []


def test_the_list_has_every_layer_and_no_other() -> None:
    there = {
        path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    assert set(LAYERS) == there
    assert len(LAYERS) == len(PLACES), "a layer stands twice in the list"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_stands_before_it(layer: str) -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE)
        if layer_of(path) == layer
        for module, line in imports(path)
        if module == "taskiq_flow"
        or (
            module.startswith("taskiq_flow.")
            and module.split(".")[1] != layer
            and PLACES[module.split(".")[1]] > PLACES[layer]
        )
    ]
    assert wrong == []


def test_the_only_circle_is_that_of_the_graph_and_its_printer() -> None:
    modules = {module_of(path): path for path in files(CORE)}
    arrows = {
        name: {module for module, _ in imports(path) if module in modules and module != name}
        for name, path in modules.items()
        if name != "taskiq_flow"
    }
    circles = [each for each in _circles(arrows) if "taskiq_flow.graph.model" not in each]
    assert circles == []
    assert all(name.startswith("taskiq_flow.graph.") for each in _circles(arrows) for name in each)


def _circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Give the groups of modules that reach each other."""
    reached = {name: _reach(arrows, name) for name in arrows}
    found = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in arrows
        if name in reached[name]
    }
    return [list(each) for each in sorted(found)]


def _reach(arrows: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


def test_a_top_level_name_without_an_underscore_is_public() -> None:
    there = {path.stem for path in CORE.glob("*.py") if not path.stem.startswith("_")}
    assert there == PUBLIC
    for name in sorted(PUBLIC):
        tree = ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8"))
        shown = [node for node in tree.body if isinstance(node, ast.Assign)]
        names = [node for node in shown if ast.unparse(node.targets[0]) == "__all__"]
        assert names, f"{name} does not say in __all__ what third parties may import"
        assert not [each for each in ast.literal_eval(names[0].value) if each.startswith("_")], name


def test_the_machine_has_neither_clock_nor_loop_nor_broker() -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE / "machine")
        for module, line in imports(path)
        if module.partition(".")[0] in MACHINE_FREE_OF
    ]
    assert wrong == []


def test_the_core_names_no_plugin_distribution() -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE)
        for module, line in imports(path)
        if module.startswith("taskiq_flow_")
    ]
    assert wrong == []


def test_plugins_import_only_what_the_core_shows() -> None:
    def is_public(module: str) -> bool:
        words = module.split(".")[1:]
        if any(word.startswith("_") for word in words):
            return False
        if len(words) < 2:
            return not words or words[0] in PUBLIC | DOORS
        return words[0] == "testing" or ".".join(words) in LOG

    wrong = [
        f"{place(path, line)} imports {module}"
        for source in ROOT.glob("plugins/*/src")
        for path in files(source)
        for module, line in imports(path)
        if module.partition(".")[0] == "taskiq_flow" and not is_public(module)
    ]
    assert wrong == []


def test_plugins_do_not_import_each_other() -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for source in ROOT.glob("plugins/*/src")
        for path in files(source)
        for module, line in imports(path)
        if module.startswith("taskiq_flow_") and not (source / module.partition(".")[0]).exists()
    ]
    assert wrong == []


def test_the_walk_sees_every_form_of_import(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(
        "import asyncio as a\n"
        "from time import sleep\n"
        "from taskiq_flow import errors\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import taskiq\n"
        "def late():\n    import pluggy.hooks\n"
        "try:\n    import random\nexcept ImportError:\n    import logging\n"
    )
    seen = [module for module, _ in imports(sample)]
    assert seen == ["asyncio", "time", "taskiq_flow.errors", "typing", "pluggy.hooks", "random", "logging"]


def test_circles_are_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d", "a"}}) == [["b", "c"], ["d"]]
