"""Findings of the doctor, with advice."""

from __future__ import annotations

import enum

from attrs import frozen

__all__ = ["Finding", "State", "fine", "note", "problem"]


class State(str, enum.Enum):
    """The state of an examined thing."""

    FINE = "fine"
    NOTE = "note"
    PROBLEM = "problem"


@frozen(kw_only=True)
class Finding:
    """The result of one examination.

    :param area: The area of the subject, in one or two words.
    :param subject: The examined thing.
    :param state: Its state.
    :param text: The finding itself.
    :param advice: The next step; empty where nothing needs to be done.
    """

    area: str
    subject: str
    state: State
    text: str
    advice: str = ""


def fine(area: str, subject: str, text: str) -> Finding:
    """Make a finding without a problem."""
    return Finding(area=area, subject=subject, state=State.FINE, text=text)


def note(area: str, subject: str, text: str, advice: str = "") -> Finding:
    """Make a finding that is worth knowing, but not a problem."""
    return Finding(area=area, subject=subject, state=State.NOTE, text=text, advice=advice)


def problem(area: str, subject: str, text: str, advice: str) -> Finding:
    """Make a finding that needs action."""
    return Finding(area=area, subject=subject, state=State.PROBLEM, text=text, advice=advice)
