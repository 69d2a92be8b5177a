"""Fixtures come from conftest files and from the modules that the first of them names, and never by an import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = [
    path
    for folder in [ROOT / "core", *sorted(ROOT.glob("plugins/*")), ROOT]
    for path in sorted((folder / "tests").rglob("*.py"))
]


def fixtures(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            "pytest.fixture" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            yield node.name


def test_no_fixture_is_imported_by_its_name() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in TESTS}
    by_module = {path.stem: set(fixtures(tree)) for path, tree in trees.items()}
    assert {"alone"} <= by_module["fake_distributions"]
    imported = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {alias.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in by_module.get(node.module or "", ())
    ]
    assert imported == []


def test_one_fixture_makes_the_broker_of_most_tests() -> None:
    makers = [
        str(path.relative_to(ROOT))
        for path in [ROOT / "conftest.py", *TESTS]
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "broker"
        # Others add something to the one that they ask for.
        if "broker" not in {argument.arg for argument in node.args.args}
    ]
    assert makers == ["conftest.py"]
