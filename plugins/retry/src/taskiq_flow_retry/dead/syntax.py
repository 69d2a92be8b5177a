"""The command-line syntax of ``taskiq flow dead``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["register_dead"]

# ``Optional`` because typer reads these annotations at run time, on Python 3.10 too.
Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:NAME",
        help="A flow, or a broker or a pipeline that has one; it says which store to look in.",
    ),
]
Task = Annotated[Optional[str], typer.Option("--task", metavar="TASK", help="Only letters of this task.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout, and nothing else.")]
AppDir = Annotated[
    Optional[str],
    typer.Option("--app-dir", metavar="DIR", help="Look for MODULE here, besides the working directory."),
]
Trace = Annotated[bool, typer.Option("--traceback", help="Show the tracebacks of errors.")]


def register_dead(app: typer.Typer, name: str, summary: str) -> None:
    """Add ``dead`` with its three commands."""
    dead = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    app.add_typer(dead, name=name, help=summary)

    @dead.command("list")
    def list_(
        target: Target,
        task: Task = None,
        run: Annotated[
            Optional[str], typer.Option("--run", metavar="RUN", help="Only letters of this run.")
        ] = None,
        limit: Annotated[
            int, typer.Option("--limit", metavar="N", min=1, help="How many at most, the newest.")
        ] = 100,
        replayed: Annotated[
            bool, typer.Option("--replayed", help="Show the letters of runs that were replayed, too.")
        ] = False,
        as_json: Json = False,
        traceback: Annotated[
            bool, typer.Option("--traceback", help="Show where each was raised, and tracebacks of errors.")
        ] = False,
        app_dir: AppDir = None,
    ) -> None:
        """List the dead letters, the newest run first."""
        from taskiq_flow_retry.dead.answers import Query, list_letters

        query = Query(target=target, task=task, as_json=as_json, app_dir=app_dir)
        raise typer.Exit(list_letters(query, run=run, limit=limit, replayed=replayed, traceback=traceback))

    @dead.command("replay")
    def replay(
        target: Target,
        runs: Annotated[
            Optional[list[str]], typer.Argument(metavar="[RUN]...", help="The runs to replay.")
        ] = None,
        everything: Annotated[bool, typer.Option("--all", help="Replay every run that has letters.")] = False,
        task: Task = None,
        wait: Annotated[
            bool,
            typer.Option(
                "--wait", help="Wait for the new runs to end; with a broker in memory it always does."
            ),
        ] = False,
        as_json: Json = False,
        app_dir: AppDir = None,
        traceback: Trace = False,
    ) -> None:
        """Resume runs with dead letters. Cells that succeeded are not executed again.

        The exit code is 1 when a run cannot be replayed or, where it is waited for, does not succeed.
        """
        from taskiq_flow_retry.dead.answers import Query, replay_runs

        query = Query(target=target, task=task, as_json=as_json, app_dir=app_dir)
        raise typer.Exit(replay_runs(query, tuple(runs or ()), everything=everything, wait=wait))

    @dead.command("discard")
    def discard(
        target: Target,
        run: Annotated[Optional[str], typer.Argument(metavar="[RUN]", help="The run.")] = None,
        cell: Annotated[
            Optional[str], typer.Argument(metavar="[CELL]", help="Only the letter of this cell.")
        ] = None,
        everything: Annotated[bool, typer.Option("--all", help="Discard every letter.")] = False,
        task: Task = None,
        as_json: Json = False,
        app_dir: AppDir = None,
        traceback: Trace = False,
    ) -> None:
        """Take letters from the list. Their runs stay, with the outputs that they have."""
        from taskiq_flow_retry.dead.answers import Query, discard_letters

        query = Query(target=target, task=task, as_json=as_json, app_dir=app_dir)
        raise typer.Exit(discard_letters(query, run, cell, everything=everything))
