"""Folders of distributions that an upgrade has left empty."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from taskiq_flow._metadata import find_entry_points, unreadable_distributions, version_of

GROUP = "taskiq_flow.test_leftovers"


@pytest.mark.parametrize("place", ["beside", "before"])
@pytest.mark.parametrize("left", ["acme_leftover-1.0.dist-info", "acme_leftover-9.0.dist-info"])
def test_an_empty_folder_hides_nothing_and_is_named(
    tmp_path: Path, place: str, left: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site, earlier = tmp_path / "site", tmp_path / "earlier"
    whole = site / "acme_leftover-2.0.dist-info"
    empty = (site if place == "beside" else earlier) / left
    for folder in (whole, empty):
        folder.mkdir(parents=True)
    earlier.mkdir(exist_ok=True)
    (whole / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-leftover\nVersion: 2.0\n")
    (whole / "entry_points.txt").write_text(f"[{GROUP}]\nacme = acme_tasks\n")
    monkeypatch.setattr(sys, "path", [str(earlier), str(site), *sys.path])
    with caplog.at_level(logging.WARNING):
        (found,) = find_entry_points(GROUP)
    assert (found.name, found.version) == ("acme", "2.0")
    assert version_of("acme-leftover") == "2.0" or place == "beside"
    if place == "before":
        assert str(empty) in caplog.text
        assert [each for each, _ in unreadable_distributions(GROUP)] == [str(empty)]
