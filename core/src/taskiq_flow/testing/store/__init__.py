"""The conformance kit for stores: importable without pytest."""

from __future__ import annotations

from taskiq_flow.testing.store.kit import STORE_CHECKS, StoreKit, check_store
from taskiq_flow.testing.store.rig import Rig

__all__ = ["STORE_CHECKS", "Rig", "StoreKit", "check_store"]
