"""``taskiq flow run``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from attrs import evolve, frozen

from taskiq_flow import Flow, FlowError, Graph
from taskiq_flow.errors import UsageError
from taskiq_flow.targets import find_known_inputs, find_pipeline, graph_of
from taskiq_flow_cli.follow import Ending, View, flow_of, follow
from taskiq_flow_cli.inputs import check_inputs_fit, names_of, read_inputs
from taskiq_flow_cli.leaving import Leaving, leaving_after
from taskiq_flow_cli.progress import Progress
from taskiq_flow_cli.streams import EventLines, reserve_stdout

__all__ = ["RunRequest", "run_pipeline"]

SUCCEEDED = 0
FAILED = 1

# The time limit for shutting down, which waits for the threads of tasks that were given up.
_SHUTDOWN_SECONDS = 10.0
_INTERRUPTED_SHUTDOWN_SECONDS = 1.0


@frozen(kw_only=True)
class RunRequest:
    """The arguments of the command.

    :param target: ``MODULE:PIPELINE``.
    :param inputs: Words of the form ``name=value``.
    :param as_json: Write one JSON object about the run to the standard output, and nothing else.
    :param events: The file for events: a path, ``-`` for the standard output, or ``None``.
    :param processes: The number of processes for synchronous tasks.
    :param timeout: The time limit of the run in seconds, instead of the pipeline's.
    :param outputs: The wanted outputs; none for all of them.
    :param quiet: Show no progress.
    :param traceback: Show tracebacks.
    :param app_dir: A folder to search for the module.
    """

    target: str
    inputs: tuple[str, ...] = ()
    as_json: bool = False
    events: str | None = None
    processes: int | None = None
    timeout: float | None = None
    outputs: tuple[str, ...] = ()
    quiet: bool = False
    traceback: bool = False
    app_dir: str | None = None


def run_pipeline(request: RunRequest) -> int:
    """Run a pipeline.

    :returns: The exit code.
    :raises UsageError: the run cannot be started.
    """
    if request.as_json and request.events == "-":
        raise UsageError("--json and --events - both want the standard output; give --events a file")
    if request.timeout is not None and not (request.timeout > 0 and math.isfinite(request.timeout)):
        raise UsageError(f"--timeout is {request.timeout:g}; give a number of seconds above 0")
    # The report shows the exceptions of tasks, so nobody need log them, except to loggers that were set up.
    for name in ("taskiq.receiver.receiver", "taskiq_flow.runs", "taskiq_flow.cells"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with reserve_stdout(request.as_json or request.events == "-") as stdout:
        pipeline = find_pipeline(request.target, request.app_dir)
        graph = graph_of(pipeline, request.outputs, names_of(request.inputs))
        if request.timeout is not None:
            graph = evolve(graph, timeout=request.timeout)
        known = find_known_inputs(pipeline, request.outputs)
        given = read_inputs(request.inputs, graph)
        # What is given may leave no need for something else that is given.
        inputs = {name: value for name, value in given.items() if name in graph.inputs or name not in known}
        flow = flow_of(pipeline.broker, request.processes)
        check_inputs_fit(inputs, graph, flow.codec, pipeline.serializer, known)
        # A task that does not let itself be cancelled would keep the event loop from ending, for ever.
        with EventLines.open(request.events, stdout) as lines, contextlib.ExitStack() as end_of_loop:
            return asyncio.run(
                _run(request, flow, graph, inputs, pipeline.serializer, lines, stdout, end_of_loop)
            )


async def _run(
    request: RunRequest,
    flow: Flow,
    graph: Graph,
    inputs: Mapping[str, Any],
    serializer: str | None,
    lines: EventLines | None,
    stdout: TextIO,
    end_of_loop: contextlib.ExitStack,
) -> int:
    progress = Progress(graph)
    title = graph.name or request.target
    leaving = Leaving()
    with leaving.watch():
        try:
            await flow.broker.startup()
        except Exception as error:
            raise UsageError(f"the broker cannot be started: {_describe_error(error)}") from error
        code = FAILED
        try:
            ending = await follow(
                flow,
                graph,
                inputs,
                serializer=serializer,
                view=None if request.quiet else _view(progress, title),
                progress=progress,
                lines=lines,
                leaving=leaving,
            )
            code = leaving.code or (SUCCEEDED if ending.status == "succeeded" else FAILED)
            _report(request, title, ending, stdout)
        except UsageError:
            raise
        except FlowError as error:
            sys.stderr.write(f"the run was lost: {error}\n")
        finally:
            sys.stdout.flush()
            seconds = _INTERRUPTED_SHUTDOWN_SECONDS if leaving.code else _SHUTDOWN_SECONDS
            end_of_loop.enter_context(leaving_after(seconds, code))
            await _shut_down(flow)
    return code


async def _shut_down(flow: Flow) -> None:
    """Shut down the broker; an error here does not change the outcome of the run."""
    try:
        await flow.broker.shutdown()
    except Exception as error:  # noqa: BLE001 - a broker may raise anything; it is reported
        sys.stderr.write(f"the broker could not be shut down: {_describe_error(error)}\n")


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _view(progress: Progress, title: str) -> View:
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        from taskiq_flow_cli.view import LiveView

        return LiveView(progress, console, title)
    from taskiq_flow_cli.plain import PlainView

    return PlainView(progress, sys.stderr, title)


def _report(request: RunRequest, title: str, ending: Ending, stdout: TextIO) -> None:
    from rich.console import Console

    from taskiq_flow_cli.report import as_json, data_of, write_failures, write_outputs, write_verdict

    errors = Console(stderr=True)
    if request.as_json:
        stdout.write(f"{as_json(data_of(ending))}\n")
        stdout.flush()
    elif request.events == "-":
        write_outputs(errors, ending)
    else:
        write_outputs(Console(file=stdout), ending)
    write_failures(errors, ending, traceback=request.traceback)
    if not request.quiet or ending.status != "succeeded":
        write_verdict(errors, title, ending)
