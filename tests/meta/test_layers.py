"""Imports go one way: plugins, the public core, its inside; graph, machine, driver, builders."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
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

# What a layer of the core may import from the core: itself, and what stands in its row.
DATA = {"errors", "payloads", "graph", "_wire_forms"}
SELECTED = {"retry", "scheduler", "serializer", "discoverer", "command", "store"}
CONTRACTS = DATA | SELECTED | {"pools", "machine", "clock"}
ALLOWED = {
    # Its listing for terminals needs words, and those import nothing.
    "graph": DATA | {"terminal"},
    "machine": DATA | {"retry"},
    "stores": CONTRACTS,
    "serializers": CONTRACTS,
    "schedulers": CONTRACTS,
}
# What a layer must not look up to; the rest of the core is open to it.
ABOVE = {"builders", "flow", "handle", "testing", ""}
FORBIDDEN = {
    "driver": ABOVE,
    "worker": ABOVE | {"driver"},
    "plugins": ABOVE | {"driver", "worker"},
    "hookspecs": ABOVE | {"driver", "worker"},
    "handle": {"builders", "flow", "testing", "worker", ""},
    "explainer": {"builders", "flow", "handle", "testing", "worker", ""},
    "admission": ABOVE,
    "_runtime": ABOVE | {"driver", "worker"},
    "_assembly": ABOVE | {"worker"},
    "builders": {"driver", "stores", "plugins", "testing", ""},
    "discovery": {"driver", "stores", "flow", "handle", "testing", ""},
    "testing": {"builders", "driver", "worker", "stores", ""},
}
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


def part(module: str) -> str:
    """The layer that a module of the core belongs to; the door itself is an empty word."""
    words = module.split(".")
    return words[1] if len(words) > 1 else ""


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


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


def test_every_layer_of_the_tables_is_there() -> None:
    there = {path.stem for path in CORE.iterdir()} | {""}
    named = {*ALLOWED, *FORBIDDEN}.union(*ALLOWED.values(), *FORBIDDEN.values())
    assert named - there == set(), "a rule about a layer that is not there holds for nothing"


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_a_low_layer_imports_nothing_from_above(layer: str) -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE)
        if layer_of(path) == layer
        for module, line in imports(path)
        if module.partition(".")[0] == "taskiq_flow" and part(module) not in ALLOWED[layer] | {layer}
    ]
    assert wrong == []


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_an_inner_layer_does_not_look_up(layer: str) -> None:
    wrong = [
        f"{place(path, line)} imports {module}"
        for path in files(CORE)
        if layer_of(path) == layer
        for module, line in imports(path)
        if module.partition(".")[0] == "taskiq_flow" and part(module) in FORBIDDEN[layer]
    ]
    assert wrong == []


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


# Stores keep events and commands print them, so the words of the log are open to plugins.
LOG = {"taskiq_flow.machine.events", "taskiq_flow.machine.codec"}


def test_plugins_import_only_what_the_core_shows() -> None:
    def private(module: str) -> bool:
        words = module.split(".")
        inside = {
            "driver",
            "worker",
            "machine",
            "stores",
            "serializers",
            "schedulers",
            "plugins",
            "graph",
            "builders",
        }
        below = words[0] == "taskiq_flow" and len(words) > 2 and words[1] in inside
        return words[0] == "taskiq_flow" and (below or any(word.startswith("_") for word in words))

    wrong = [
        f"{place(path, line)} imports {module}"
        for source in ROOT.glob("plugins/*/src")
        for path in files(source)
        for module, line in imports(path)
        if module not in LOG and private(module)
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
