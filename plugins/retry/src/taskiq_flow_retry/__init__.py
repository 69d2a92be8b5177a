"""Retry policies for Taskiq-Flow: backoff, jitter, budgets, tenacity's strategies, and the dead-letter list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_flow.plugins import lazy_names

if TYPE_CHECKING:
    from taskiq_flow_retry.chain import Chain, On
    from taskiq_flow_retry.dead.letter import DeadLetter
    from taskiq_flow_retry.dead.letters import DeadLetters
    from taskiq_flow_retry.standard import StandardRetry
    from taskiq_flow_retry.strategies import TenacityRetry

__all__ = ["Chain", "DeadLetter", "DeadLetters", "On", "StandardRetry", "TenacityRetry"]

# Every flow imports this package for its plugin.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Chain": ".chain",
        "DeadLetter": ".dead.letter",
        "DeadLetters": ".dead.letters",
        "On": ".chain",
        "StandardRetry": ".standard",
        "TenacityRetry": ".strategies",
    },
)
