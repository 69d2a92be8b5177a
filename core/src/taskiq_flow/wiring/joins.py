"""The values of the sides of a branch, joined to one."""

from __future__ import annotations

from collections.abc import Iterator

from taskiq_flow.graph.model import Conditional, FirstOf, ListOf, Node, Output, Source

__all__ = ["alternatives", "first_of", "only_after"]


def alternatives(value: Source) -> tuple[Source, ...]:
    """Return the members of a join, or the source itself if it is none."""
    return value.sources if isinstance(value, FirstOf) else (value,)


def only_after(side: tuple[Node, ...], value: Source, free: frozenset[Source]) -> Iterator[Source]:
    """Yield the alternatives of a side's value, each so that it is skipped where the side does not run.

    :param side: The side's nodes, its first node first.
    :param free: Alternatives that are right even where the side does not run.
    """
    inside = frozenset(node.name for node in side)
    # The first node of a side runs whenever the side does.
    signs = (Output(node.name, node.outputs[0]) for node in side if node.outputs)
    sign = next(signs, None)
    for each in alternatives(value):
        if sign is not None and each not in free and not _is_skipped_with(inside, each):
            each = Conditional(each, sign)
        yield each


def _is_skipped_with(nodes: frozenset[str], source: Source) -> bool:
    """Whether a source is skipped for certain where all of some nodes are."""
    if isinstance(source, Output):
        return source.node in nodes
    if isinstance(source, ListOf):
        return any(_is_skipped_with(nodes, each) for each in source.sources)
    if isinstance(source, FirstOf):
        return all(_is_skipped_with(nodes, each) for each in source.sources)
    if isinstance(source, Conditional):
        return _is_skipped_with(nodes, source.given) or _is_skipped_with(nodes, source.source)
    return False


def first_of(*sources: Source) -> Source:
    """Join the sides of a branch; nested joins become one, so many branches in a row stay flat."""
    flat: list[Source] = []
    for source in sources:
        if isinstance(source, FirstOf):
            flat.extend(source.sources)
        else:
            flat.append(source)
    return FirstOf(tuple(dict.fromkeys(flat)))
