"""What JSON wrote in the first version stays readable, and is still written so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golden_values import VALUES, kept
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.testing._values import same

KEPT = kept(Path(__file__).parents[1] / "golden" / "json.txt")


def test_every_value_has_its_bytes() -> None:
    assert list(KEPT) == list(VALUES)


@pytest.mark.parametrize(
    ("label", "value", "annotation"), [(label, *each) for label, each in VALUES.items()], ids=list(VALUES)
)
def test_kept_bytes_give_the_value_and_the_value_the_bytes(label: str, value: Any, annotation: Any) -> None:
    assert same(JsonSerializer().loads(KEPT[label], annotation), value)
    assert JsonSerializer().dumps(value) == KEPT[label]
