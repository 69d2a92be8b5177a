"""The command-line syntax of ``taskiq flow simulate``; its work is imported when it is called."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["register_simulate"]


def register_simulate(app: typer.Typer, name: str, help: str) -> None:  # noqa: A002 - typer's word
    """Add the command.

    :param name: Its name.
    :param help: Its line in the list of commands.
    """

    # ``Optional`` because typer reads these annotations at run time, on Python 3.10 too.
    @app.command(name, help=help)
    def simulate(
        target: Annotated[
            str,
            typer.Argument(
                metavar="MODULE:PIPELINE|FILE",
                help="A pipeline; or a file: a graph as JSON, or a workflow trace (WfFormat, .json or .json.gz).",
            ),
        ],
        scheduler: Annotated[
            Optional[list[str]],
            typer.Option(
                "--scheduler",
                metavar="NAME",
                help="An installed scheduler, or MODULE:NAME; several are compared.",
            ),
        ] = None,
        workers: Annotated[
            Optional[list[str]],
            typer.Option(
                "--workers", metavar="'4x cpu=4,ram_mb=8192'", help="Workers; may be given several times."
            ),
        ] = None,
        pool: Annotated[
            Optional[str], typer.Option("--pool", metavar="MODULE:NAME", help="A pool, with its limits.")
        ] = None,
        limit: Annotated[
            Optional[list[str]],
            typer.Option(
                "--limit", metavar="NAME=N", help="A limit of the pool; may be given several times."
            ),
        ] = None,
        durations: Annotated[
            Optional[str],
            typer.Option(
                "--durations",
                metavar="FILE",
                help="JSON or CSV: seconds by task, node or cell; a list has one number per item.",
            ),
        ] = None,
        default: Annotated[
            float, typer.Option("--seconds", metavar="S", min=0, help="How long everything else takes.")
        ] = 1.0,
        run: Annotated[
            Optional[str],
            typer.Option(
                "--run", metavar="ID", help="Take durations, items and values from a run in the store."
            ),
        ] = None,
        events: Annotated[
            Optional[str],
            typer.Option(
                "--events", metavar="FILE", help="The same from a file of `taskiq flow run --events`."
            ),
        ] = None,
        items: Annotated[
            Optional[list[str]],
            typer.Option(
                "--items", metavar="NAME=N", help="How many items a list has; may be given several times."
            ),
        ] = None,
        value: Annotated[
            Optional[list[str]],
            typer.Option(
                "--value", metavar="NAME=JSON", help="What a guard or a filter sees; several times."
            ),
        ] = None,
        outputs: Annotated[
            Optional[str],
            typer.Option("--outputs", metavar="A,B", help="Only these outputs, and only what they need."),
        ] = None,
        gantt: Annotated[
            Optional[str],
            typer.Option("--gantt", metavar="FILE", help="Draw the attempts on each worker: .svg or .html."),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout.")] = False,
        app_dir: Annotated[
            Optional[str],
            typer.Option(
                "--app-dir", metavar="DIR", help="Look for MODULE here, besides the working directory."
            ),
        ] = None,
        traceback: Annotated[
            bool, typer.Option("--traceback", help="Show the tracebacks of errors.")
        ] = False,
    ) -> None:
        from taskiq_flow_resources.simulation.order import SimulationRequest, carry_out

        request = SimulationRequest(
            target=target,
            schedulers=tuple(scheduler or ()),
            workers=tuple(workers or ()),
            pool=pool,
            limits=tuple(limit or ()),
            durations=durations,
            default=default,
            run=run,
            events=events,
            items=tuple(items or ()),
            values=tuple(value or ()),
            outputs=tuple(name.strip() for name in (outputs or "").split(",") if name.strip()),
            gantt=gantt,
            as_json=as_json,
            app_dir=app_dir,
            traceback=traceback,
        )
        raise typer.Exit(carry_out(request))
