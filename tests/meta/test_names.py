"""Names say one thing each: classes are nouns that stand in one file, functions are verbs."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "src" / "taskiq_flow"
SOURCES = (CORE, *sorted(ROOT.glob("plugins/*/src")))

VERBS_IN_ED = {
    "bleed",
    "breed",
    "embed",
    "exceed",
    "feed",
    "heed",
    "need",
    "proceed",
    "seed",
    "shed",
    "speed",
    "succeed",
}
# Participles that are no verbs as they stand; "put", "set" and "read" are both.
IRREGULAR = {
    "begun",
    "bent",
    "born",
    "bought",
    "bound",
    "broken",
    "brought",
    "built",
    "caught",
    "chosen",
    "dealt",
    "done",
    "drawn",
    "driven",
    "fallen",
    "felt",
    "forgotten",
    "forsaken",
    "found",
    "frozen",
    "given",
    "gone",
    "grown",
    "heard",
    "held",
    "hidden",
    "kept",
    "known",
    "laid",
    "led",
    "left",
    "lent",
    "lit",
    "lost",
    "made",
    "meant",
    "met",
    "overtaken",
    "paid",
    "proven",
    "risen",
    "rung",
    "said",
    "seen",
    "sent",
    "shaken",
    "shown",
    "sold",
    "spent",
    "spoken",
    "spun",
    "stolen",
    "stood",
    "struck",
    "stuck",
    "sunk",
    "swept",
    "sworn",
    "taken",
    "taught",
    "thought",
    "thrown",
    "told",
    "torn",
    "understood",
    "undone",
    "unseen",
    "woken",
    "won",
    "worn",
    "written",
}
# The checks of a kit are sentences: "expired workers are listed too".
IN_SENTENCES = {"are", "has", "have", "is"}
DATA = {"cached_property", "property", "fixture"}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def is_data(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is read like an attribute, which has a noun for its name, or an adjective."""
    return any(ast.unparse(each).rpartition(".")[2] in DATA for each in function.decorator_list)


def is_participle(name: str) -> bool:
    words = name.strip("_").split("_")
    if IN_SENTENCES & set(words):
        return False
    return words[0] in IRREGULAR or (words[0].endswith("ed") and words[0] not in VERBS_IN_ED)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name if path == CORE else path.parent.name)
def test_no_function_is_named_by_a_participle(source: Path) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in sorted(source.rglob("*.py"))
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if is_participle(function.name) and not is_data(function)
    ]
    assert wrong == [], "a function has a verb for its name: describe_error, not _said"


def test_no_class_of_the_core_has_a_name_twice() -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                owners[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in owners.items() if len(set(paths)) > 1} == {}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("_said", True),
        ("shown_size", True),
        ("_listed", True),
        ("_embed", False),
        ("need_more", False),
        ("read_result", False),
        ("expired_workers_are_listed", False),
        ("describe_error", False),
    ],
)
def test_participles_are_known(name: str, is_one: bool) -> None:
    assert is_participle(name) is is_one
