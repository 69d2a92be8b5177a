"""The wire form of events, under the name that it had in the first trials; new code imports :mod:`.wire`."""

from __future__ import annotations

from taskiq_flow.machine.wire import decode_event, encode_event

__all__ = ["decode_event", "encode_event"]
