"""What keeps a command from being carried out."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """The command cannot be carried out as it was given; its text is all that people are shown.

    The cause, where there is one, is what their own code raised.
    """
