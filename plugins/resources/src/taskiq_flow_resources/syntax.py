"""The command-line syntax of ``taskiq flow explain``; its work is imported when it is called."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["register_explain"]


def register_explain(app: typer.Typer, name: str, help: str) -> None:  # noqa: A002 - typer's word
    """Add the command.

    :param name: Its name.
    :param help: Its line in the list of commands.
    """

    @app.command(name, help=help)
    def explain(
        target: Annotated[
            str, typer.Argument(metavar="MODULE:NAME", help="A flow; or a broker or a pipeline that has one.")
        ],
        run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
        everything: Annotated[
            bool, typer.Option("--all", help="Show all cells that wait, not the first ones of each state.")
        ] = False,
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
        from taskiq_flow_resources.explanation import explain_run

        raise typer.Exit(explain_run(target, run, everything=everything, as_json=as_json, app_dir=app_dir))
