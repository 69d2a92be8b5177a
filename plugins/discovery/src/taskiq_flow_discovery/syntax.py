"""The command-line syntax of ``taskiq flow tasks``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["register_tasks"]


def register_tasks(app: typer.Typer) -> None:
    """Add ``tasks``."""

    @app.command("tasks")
    def tasks(
        task: Annotated[
            Optional[str],
            typer.Argument(
                metavar="TASK", help="Show all that is known of this task: its name, or its function's."
            ),
        ] = None,
        distribution: Annotated[
            Optional[str],
            typer.Option(
                "--distribution", metavar="PATTERN", help="Only of distributions like this: acme-*."
            ),
        ] = None,
        output: Annotated[
            Optional[str],
            typer.Option("--output", metavar="NAME", help="Only tasks that produce this."),
        ] = None,
        no_load: Annotated[
            bool,
            typer.Option("--no-load", help="List the sources by their metadata, without importing any."),
        ] = False,
        flow: Annotated[
            Optional[str],
            typer.Option(
                "--flow",
                metavar="MODULE:NAME",
                help="Look as this flow (or the flow of this broker or pipeline) does, instead of as configured.",
            ),
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
        """List the tasks of installed distributions: what each produces and needs, and where it comes from.

        The exit code is 1 when something that was found cannot be used.
        """
        from taskiq_flow_discovery.listing import Query, list_tasks

        query = Query(
            task=task, distribution=distribution, output=output, load=not no_load, flow=flow, app_dir=app_dir
        )
        raise typer.Exit(list_tasks(query, as_json=as_json))
