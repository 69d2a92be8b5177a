"""The page about errors names each of them."""

from __future__ import annotations

import re
from pathlib import Path

from taskiq_flow import errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_every_error_has_a_row() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert set(errors.__all__) <= named
