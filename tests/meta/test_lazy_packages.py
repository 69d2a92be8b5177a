"""Packages whose names are imported late show them, give them, and say what they do not have."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [
    ".".join(path.parent.relative_to(source).parts)
    for source in [ROOT / "core" / "src", *sorted(ROOT.glob("plugins/*/src"))]
    for path in sorted(source.rglob("__init__.py"))
    if "lazy_names(" in path.read_text(encoding="utf-8")
]


def test_nobody_writes_such_a_lookup_by_hand() -> None:
    assert {"taskiq_flow", "taskiq_flow.plugins"} <= set(PACKAGES)
    by_hand = [
        str(path.relative_to(ROOT))
        for source in [ROOT / "core" / "src", *ROOT.glob("plugins/*/src")]
        for path in source.rglob("*.py")
        if "\ndef __getattr__(" in path.read_text(encoding="utf-8")
    ]
    assert by_hand == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_offered_is_listed_before_it_is_imported(package: str) -> None:
    # In a process of its own: whatever was imported here would be listed anyway.
    code = f"import {package} as it\nprint(sorted(set(it.__all__) - set(dir(it))), '__name__' in dir(it))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] True"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_offered_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
        assert name in vars(module), "the second one to ask goes through the lookup again"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_not_there_is_said_as_by_python(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'") as caught:
        _ = module.nothing
    assert (caught.value.name, caught.value.obj) == ("nothing", module)
    with pytest.raises(ImportError, match=f"cannot import name 'nothing' from '{package}'"):
        exec(f"from {package} import nothing")
