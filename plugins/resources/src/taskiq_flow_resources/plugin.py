"""What this distribution offers; light, because it is imported whenever a flow is made."""

from __future__ import annotations
