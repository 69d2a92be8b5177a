"""Finds pipelines and flows by ``MODULE:NAME``, for commands."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any, Union

from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask

from taskiq_flow.builders.dataflow import DataflowPipeline
from taskiq_flow.builders.pipeline import Pipeline
from taskiq_flow.errors import FlowError, UsageError
from taskiq_flow.flow import Flow
from taskiq_flow.graph import Graph
from taskiq_flow.wiring.given import find_known_names, graph_given

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AnyPipeline", "find_flow", "find_known_inputs", "find_object", "find_pipeline", "graph_of"]

AnyPipeline = Union[DataflowPipeline, "Pipeline[..., Any]"]

_PIPELINES = "a DataflowPipeline, a Pipeline"
_FLOWS = "a Flow, a broker, a DataflowPipeline, a Pipeline"
_OURS = os.path.dirname(__file__) + os.sep


def find_pipeline(target: str, app_dir: str | None = None) -> AnyPipeline:
    """Import a module and return the pipeline in it.

    :param target: ``MODULE:PIPELINE``; after the colon a path of attributes.
    :param app_dir: A folder that is searched before the working directory.
    :raises UsageError: there is no such module or attribute, or it is no pipeline.
    """
    return _pipeline(find_object(target, app_dir), target)


def find_flow(target: str, app_dir: str | None = None) -> Flow:
    """Import a module and return the flow in it, which may be that of a broker or of a pipeline.

    :param target: ``MODULE:NAME``; after the colon a path of attributes.
    :param app_dir: A folder that is searched before the working directory.
    :raises UsageError: there is no such module or attribute, or it has no flow.
    """
    found = find_object(target, app_dir)
    if isinstance(found, Flow):
        return found
    broker = found if isinstance(found, AsyncBroker) else _pipeline(found, target, _FLOWS).broker
    try:
        return Flow.of(broker)
    except FlowError as error:
        raise UsageError(str(error)) from error


def find_object(target: str, app_dir: str | None = None) -> Any:
    """Import a module and return the object under a name in it.

    The working directory goes to the front of ``sys.path`` and stays there, because running tasks may import too.

    :param target: ``MODULE:NAME``; after the colon a path of attributes.
    :param app_dir: A folder that is searched before the working directory.
    :raises UsageError: there is no such module or attribute.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise UsageError(f"expected MODULE:NAME, such as shop.orders:pipeline, found {target!r}")
    for folder in (os.getcwd(), app_dir and os.path.abspath(app_dir)):
        if folder and folder not in sys.path[:1]:
            sys.path.insert(0, folder)
    found: Any = _import(module_name)
    for word in path.split("."):
        if not hasattr(found, word):
            raise UsageError(f"module {module_name!r} has no {path!r}{_hint(word, found)}")
        found = getattr(found, word)
    return found


def graph_of(pipeline: AnyPipeline, outputs: Iterable[str], given: Iterable[str] = ()) -> Graph:
    """Return a pipeline's graph, or the part of it that the outputs need.

    :param outputs: Names of outputs; none for all of them.
    :param given: Names of the inputs of a run. A parameter with a default becomes an input, and what only data that is
        given needs is left out; unknown names change nothing.
    :raises UsageError: the graph has problems, or there is no such output.
    """
    wanted = tuple(outputs)
    try:
        return (
            graph_given(pipeline.graph.subgraph_for(wanted), given, wanted)
            if wanted
            else pipeline.graph_given(given)
        )
    except FlowError as error:
        raise UsageError(str(error)) from error


def find_known_inputs(pipeline: AnyPipeline, outputs: Iterable[str]) -> frozenset[str]:
    """Return everything that a run may be given: inputs, parameters left at a default, and what tasks produce.

    :param outputs: Names of outputs; none for all of them.
    :raises UsageError: the graph has problems, or there is no such output.
    """
    return frozenset(find_known_names(graph_of(pipeline, outputs)))


def _import(name: str) -> ModuleType:
    hint = f" (did you mean {meant!r}?)" if (meant := _module_of_path(name)) not in ("", name) else ""
    if name.startswith(".") or "/" in name or os.sep in name:
        raise UsageError(
            f"expected a module's name as in an import, such as shop.orders, found {name!r}{hint}"
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module {error.name!r}; it is looked for in the working directory, "
                f"in --app-dir, and among what is installed{hint}"
            ) from error
        raise UsageError(f"cannot import {name!r}: {_describe_error(error)}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the import of a user's module may raise anything
        raise UsageError(f"cannot import {name!r}: {_describe_error(error)}") from error


def _module_of_path(name: str) -> str:
    """Return the module's name for a path such as ``shop/orders.py``; empty if it is no such path."""
    parts = name.removesuffix(".py").replace(os.sep, "/").removeprefix("./").split("/")
    return ".".join(parts) if all(part.isidentifier() for part in parts) else ""


def _pipeline(found: Any, target: str, expected: str = _PIPELINES) -> AnyPipeline:
    if isinstance(found, AsyncTaskiqDecoratedTask):
        raise UsageError(
            f"{target!r} is a task; expected {expected}, such as one made of it: Pipeline(broker, task)"
        )
    if callable(found) and not isinstance(found, (DataflowPipeline, Pipeline)):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"calling {target!r} without arguments gave no pipeline: {_describe_error(error)}"
            ) from error
    if isinstance(found, (DataflowPipeline, Pipeline)):
        return found
    if inspect.iscoroutine(found):
        found.close()  # it will not be awaited
    raise UsageError(
        f"{target!r} is of type {type(found).__name__}; expected {expected}, "
        "or a function without arguments that gives one"
    )


def _hint(name: str, owner: Any) -> str:
    known = [each for each, value in vars(owner).items() if isinstance(value, (DataflowPipeline, Pipeline))]
    if close := difflib.get_close_matches(name, known or dir(owner), n=3):
        return f" (did you mean {' or '.join(map(repr, close))}?)"
    return f"; its pipelines are {', '.join(map(repr, known))}" if known else "; there are no pipelines in it"


def _describe_error(error: BaseException) -> str:
    """Return an error's text and its line; for a ``FlowError``, the last line outside of this package."""
    # The first frame is the call in this module.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)[1:]
        if not frame.filename.startswith("<frozen")
        and frame.filename != importlib.__file__
        and not (isinstance(error, FlowError) and frame.filename.startswith(_OURS))
    ]
    where = f" ({frames[-1].filename}:{frames[-1].lineno}; --traceback shows all)" if frames else ""
    text = str(error)
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"
