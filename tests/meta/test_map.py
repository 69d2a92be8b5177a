"""The map and the walks of the architecture name what there is, and the map is the list of layers."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTIONS = {
    match[1]: match[2]
    for match in re.finditer(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
NAMES = sorted(
    {
        name
        for title in SECTIONS
        if title == "The map" or title.startswith(("To ", "From "))
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", SECTIONS[title])
        # Words that stand alone are classes, commands and the like, or layers, which are compared below.
        if "." in name
    }
)


def find(name: str) -> object:
    """Find a module, a class, a function or a method; of ours, without the name of the core."""
    words = name.split(".") if name.startswith("taskiq_flow_") else ["taskiq_flow", *name.split(".")]
    for length in range(len(words), 0, -1):
        try:
            module = importlib.import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, words[length:], module)
    raise LookupError(name)


def test_the_map_is_the_list_of_layers() -> None:
    tree = ast.parse((ROOT / "tests" / "meta" / "test_layers.py").read_text(encoding="utf-8"))
    [layers] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    ]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", SECTIONS["The map"], re.MULTILINE)
    assert rows == list(layers)


def test_a_row_of_the_map_begins_in_its_layer() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| `([\w.]+)`", SECTIONS["The map"], re.MULTILINE)
    assert [start for layer, start in rows if start.partition(".")[0] != layer] == []
    for _, start in rows:
        find(start)


def test_there_is_much_to_look_at() -> None:
    assert len(NAMES) > 100
    rows = re.findall(r"^\| .+ \|$", SECTIONS["To change something"], re.MULTILINE)
    assert len(rows) > 20
    assert sum(title.startswith("From ") for title in SECTIONS) == 3


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_names_is_there(name: str) -> None:
    plugin = name.partition(".")[0]
    if plugin.startswith("taskiq_flow_") and importlib.util.find_spec(plugin) is None:
        pytest.skip(f"{plugin} is not installed")
    find(name)


def test_folders_and_files_are_there() -> None:
    paths = {
        path
        for title in ("The map", "To change something")
        for path in re.findall(r"`([\w.]+(?:/[\w.]+)+)`", SECTIONS[title])
    }
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
