"""A hook is described with its arguments, stands in the reference, and has a test."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from taskiq_flow import hookspecs

ROOT = Path(__file__).resolve().parents[2]
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("flow_")}
TESTS = [
    path.read_text(encoding="utf-8")
    for folder in [ROOT / "core" / "tests", *ROOT.glob("plugins/*/tests"), ROOT / "tests"]
    for path in folder.rglob("*.py")
    if path != Path(__file__)
]


def test_there_are_hooks_and_all_are_offered() -> None:
    assert len(HOOKS) >= 6
    assert set(HOOKS) <= set(hookspecs.__all__)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_when_it_is_called_and_what_it_is_given(name: str) -> None:
    hook: Callable[..., object] = HOOKS[name]
    text = inspect.getdoc(hook) or ""
    described = set(re.findall(r"^:param (\w+):", text, re.MULTILINE))
    assert described == set(inspect.signature(hook).parameters)
    assert "Called" in text, "when, how often and in which process"
    assert ".. versionadded::" in text


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_a_test(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", text) for text in TESTS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stands_in_the_reference(name: str) -> None:
    assert f"### `{name}(" in (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
