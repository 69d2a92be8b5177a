"""The middleware that makes a flow, under the module name that taskiq-pipelines has for its own."""

from __future__ import annotations

from taskiq_flow.flow import PipelineMiddleware

__all__ = ["PipelineMiddleware"]
