"""The command-line syntax of the standard commands; their work is imported when they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Optional

import typer

__all__ = [
    "STANDARD",
    "register_doctor",
    "register_graph",
    "register_new_plugin",
    "register_plugins",
    "register_run",
]

# ``Optional`` because typer reads these annotations at run time, on Python 3.10 too.
Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:PIPELINE", help="A pipeline, or a function without arguments that gives one."
    ),
]
AppDir = Annotated[
    Optional[str],
    typer.Option("--app-dir", metavar="DIR", help="Look for MODULE here, besides the working directory."),
]
Outputs = Annotated[
    Optional[str],
    typer.Option("--outputs", metavar="A,B", help="Only these outputs, and only what they need."),
]
Trace = Annotated[bool, typer.Option("--traceback", help="Show the tracebacks of errors.")]


def register_run(app: typer.Typer) -> None:
    """Add ``run``."""

    @app.command("run")
    def run(
        target: Target,
        inputs: Annotated[
            Optional[list[str]],
            typer.Argument(
                metavar="[NAME=VALUE]...",
                help="Inputs: JSON where it is JSON, otherwise text; NAME:=JSON is JSON in any case.",
            ),
        ] = None,
        as_json: Annotated[
            bool,
            typer.Option("--json", help="Write one JSON object about the run to stdout, and nothing else."),
        ] = False,
        events: Annotated[
            Optional[str],
            typer.Option(
                "--events", metavar="FILE", help="Write every event as a line of JSON; - is stdout."
            ),
        ] = None,
        processes: Annotated[
            Optional[int],
            typer.Option(
                "--processes",
                metavar="N",
                min=1,
                help="Processes for synchronous tasks of an in-memory broker.",
            ),
        ] = None,
        timeout: Annotated[
            Optional[float],
            typer.Option(
                "--timeout", metavar="SECONDS", help="The time limit of the run, in place of the pipeline's."
            ),
        ] = None,
        outputs: Outputs = None,
        quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
        traceback: Trace = False,
        app_dir: AppDir = None,
    ) -> None:
        """Start a pipeline, follow its run, and show what comes out.

        The exit code is 0 when the run succeeded, 1 when it failed, 2 when it could not be started.
        """
        from taskiq_flow_cli.run import RunRequest, run_pipeline

        request = RunRequest(
            target=target,
            inputs=tuple(inputs or ()),
            as_json=as_json,
            events=events,
            processes=processes,
            timeout=timeout,
            outputs=_names(outputs),
            quiet=quiet,
            traceback=traceback,
            app_dir=app_dir,
        )
        raise typer.Exit(run_pipeline(request))


def register_graph(app: typer.Typer) -> None:
    """Add ``graph``."""

    @app.command("graph")
    def graph(
        target: Target,
        format: Annotated[  # noqa: A002 - the option's name
            str, typer.Option("--format", metavar="FORMAT", help="text, mermaid, dot, svg or json.")
        ] = "text",
        outputs: Outputs = None,
        app_dir: AppDir = None,
        traceback: Trace = False,
    ) -> None:
        """Draw a pipeline."""
        from taskiq_flow_cli.graph import draw

        typer.echo(draw(target, format, _names(outputs), app_dir), nl=False)


def register_plugins(app: typer.Typer) -> None:
    """Add ``plugins``."""

    @app.command("plugins")
    def plugins(
        as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout.")] = False,
    ) -> None:
        """List the plugins that are installed, what each offers, and what is selected.

        The exit code is 1 when one of them cannot be used.
        """
        from taskiq_flow_cli.plugins import list_plugins

        raise typer.Exit(list_plugins(as_json=as_json))


def register_new_plugin(app: typer.Typer) -> None:
    """Add ``new-plugin``."""

    @app.command("new-plugin")
    def new_plugin(
        name: Annotated[
            str, typer.Argument(metavar="NAME", help="The name of the distribution, such as acme-scheduler.")
        ],
        kind: Annotated[
            str,
            typer.Option("--kind", metavar="KIND", help="scheduler, retry, serializer, discoverer or store."),
        ],
        directory: Annotated[
            Optional[str],
            typer.Option(
                "--directory", metavar="DIR", help="Make the folder NAME here, not in the working directory."
            ),
        ] = None,
    ) -> None:
        """Write a plugin that works: code, conformance tests, README.

        It can be installed, tested and selected at once. Nothing that exists is overwritten.
        """
        from taskiq_flow_cli.scaffold.writing import new_plugin as write

        raise typer.Exit(write(name, kind, directory))


def register_doctor(app: typer.Typer) -> None:
    """Add ``doctor``."""

    @app.command("doctor")
    def doctor(
        target: Annotated[
            Optional[str],
            typer.Argument(
                metavar="[MODULE:NAME]",
                help="A flow, a broker or a pipeline, to look at its store, broker and workers too.",
            ),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout.")] = False,
        app_dir: AppDir = None,
        traceback: Trace = False,
    ) -> None:
        """Check the installation, and an application.

        Looks at versions, plugins, configuration and conformance; of an application at its store, its broker, its
        workers and their tasks. Starts no run. The exit code is 1 when something should be done.
        """
        from taskiq_flow_cli.doctor.examination import examine

        raise typer.Exit(examine(target, as_json=as_json, app_dir=app_dir, traceback=traceback))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))


STANDARD: Mapping[str, Callable[[typer.Typer], None]] = {
    "run": register_run,
    "graph": register_graph,
    "plugins": register_plugins,
    "new-plugin": register_new_plugin,
    "doctor": register_doctor,
}
"""The functions that add the standard commands to the application, by the command's name."""
