"""Names that are imported late."""

from __future__ import annotations

import sys

import pytest

from taskiq_flow._lazy import lazy_names


def test_a_name_that_somebody_else_has_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    module = type(sys)("acme_lazy")
    monkeypatch.setitem(sys.modules, "acme_lazy", module)
    found, listed = lazy_names(
        "acme_lazy", {"sqrt": "math"}, elsewhere={"more": lambda: asked.append("more")}
    )
    monkeypatch.setattr(module, "__getattr__", found, raising=False)
    monkeypatch.setattr(module, "__dir__", listed, raising=False)
    assert "sqrt" in dir(module)
    assert module.sqrt(9) == 3.0
    assert (module.more, module.more) == (None, None)
    assert asked == ["more"]
