"""The glossary has every word of the core once, and says where it lives."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "src" / "taskiq_flow"
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
# Word, meaning, modules. The table of words that are not used has two columns.
ENTRIES = {
    match[1]: (match[2], re.findall(r"`([^`]+)`", match[3]))
    for match in re.finditer(r"^\| (.+?) \| (.+) \| (`.+`) \|$", PAGE, re.MULTILINE)
}


def classes() -> Iterator[tuple[str, Path]]:
    """The classes of the core that a reader meets; kits for tests have documentation of their own."""
    for path in sorted(CORE.rglob("*.py")):
        if path.relative_to(CORE).parts[0] != "testing":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name, path


PLACES = dict(classes())


def folder_or_file(module: str) -> Path:
    """Where a module of an entry lies: ``machine.scope`` in the core, ``plugins/retry`` in the repository."""
    if "/" in module:
        return ROOT / module
    below = CORE / module.replace(".", "/")
    return below if below.is_dir() else below.with_suffix(".py")


def test_there_are_entries_and_each_word_is_said_once() -> None:
    assert len(ENTRIES) > 100
    rows = re.findall(r"^\| (.+?) \| .+ \| `.+` \|$", PAGE, re.MULTILINE)
    assert [word for word, number in Counter(rows).items() if number > 1] == []


def test_every_class_of_the_core_is_in_the_glossary() -> None:
    # The tree of errors is drawn where they are defined; words inside of private modules are for their readers.
    wanted = {
        name
        for name, path in PLACES.items()
        if path.name != "errors.py" and not (path.name.startswith("_") and path.parent != CORE)
    }
    assert wanted - set(re.findall(r"`(\w+)`", PAGE)) == set()


@pytest.mark.parametrize("word", ENTRIES)
def test_an_entry_says_where_its_word_lives(word: str) -> None:
    meaning, modules = ENTRIES[word]
    assert [module for module in modules if not folder_or_file(module).exists()] == []
    for name in re.findall(r"`([A-Z]\w+)`", meaning):
        homes = [folder_or_file(module) for module in modules]
        assert name in PLACES, f"{name} is no class of the core"
        assert any(PLACES[name].is_relative_to(home) for home in homes), (
            f"{name} lives in {PLACES[name].relative_to(CORE)}"
        )
