"""Retry policies for Taskiq-Flow: backoff, jitter, budgets, tenacity's strategies, and the dead-letter list."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskiq_flow_retry.chain import Chain, On
    from taskiq_flow_retry.dead.letter import DeadLetter
    from taskiq_flow_retry.dead.letters import DeadLetters
    from taskiq_flow_retry.standard import StandardRetry
    from taskiq_flow_retry.strategies import TenacityRetry

# Where each public name is; imported when somebody asks, because every flow imports this package for its plugin.
_HOMES = {
    "Chain": "chain",
    "DeadLetter": "dead.letter",
    "DeadLetters": "dead.letters",
    "On": "chain",
    "StandardRetry": "standard",
    "TenacityRetry": "strategies",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


__all__ = ["Chain", "DeadLetter", "DeadLetters", "On", "StandardRetry", "TenacityRetry"]
