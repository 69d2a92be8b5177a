"""What was found, and what to do about it."""

from __future__ import annotations

import enum

from attrs import frozen

__all__ = ["Finding", "State", "fine", "note", "problem"]


class State(str, enum.Enum):
    """How something is."""

    FINE = "fine"
    NOTE = "note"
    PROBLEM = "problem"


@frozen(kw_only=True)
class Finding:
    """Something that was looked at.

    :param area: What it belongs to, as a word.
    :param subject: What was looked at.
    :param state: How it is.
    :param text: What was found.
    :param advice: What to do next; empty where nothing needs to be done.
    """

    area: str
    subject: str
    state: State
    text: str
    advice: str = ""


def fine(area: str, subject: str, text: str) -> Finding:
    """Make a finding that is as it should be."""
    return Finding(area=area, subject=subject, state=State.FINE, text=text)


def note(area: str, subject: str, text: str, advice: str = "") -> Finding:
    """Make a finding that somebody should know of."""
    return Finding(area=area, subject=subject, state=State.NOTE, text=text, advice=advice)


def problem(area: str, subject: str, text: str, advice: str) -> Finding:
    """Make a finding that somebody should do something about."""
    return Finding(area=area, subject=subject, state=State.PROBLEM, text=text, advice=advice)
