"""``taskiq flow graph``."""

from __future__ import annotations

from collections.abc import Iterable

from taskiq_flow import FlowError
from taskiq_flow.errors import UsageError
from taskiq_flow.targets import find_pipeline, graph_of
from taskiq_flow.terminal import reserve_stdout

__all__ = ["draw"]


def draw(target: str, format: str, outputs: Iterable[str], app_dir: str | None) -> str:  # noqa: A002
    """Draw a pipeline.

    :param target: ``MODULE:PIPELINE``.
    :param format: One of the formats of graphs.
    :param outputs: Names of outputs, to draw only the nodes that they need; none for all of them.
    :param app_dir: A folder to search for the module.
    :raises UsageError: there is no such pipeline, output or format.
    """
    # Output of the imported module is not part of the drawing.
    with reserve_stdout(True):
        graph = graph_of(find_pipeline(target, app_dir), outputs)
    try:
        return graph.render(format)
    except FlowError as error:
        raise UsageError(str(error)) from error
