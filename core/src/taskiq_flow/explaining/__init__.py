"""Explains why cells wait."""

from taskiq_flow.explaining.explainer import Explainer

__all__ = ["Explainer"]
