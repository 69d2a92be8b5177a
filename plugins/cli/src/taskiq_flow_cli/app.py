"""The application: its commands, and the handling of errors that they share."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from taskiq_flow.errors import UsageError
from taskiq_flow_cli.syntax import STANDARD

__all__ = ["FAILED", "INTERRUPTED", "MISUSED", "main", "make_app"]

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(args: Sequence[str]) -> int:
    """Run a command.

    :param args: The arguments behind ``taskiq flow``.
    :returns: The exit code.
    """
    args = list(args)
    _mend_streams()
    try:
        app = make_app(args[0] if args else "")
        code = app(args or ["--help"], prog_name="taskiq flow", standalone_mode=True)
    except SystemExit as leaving:
        code = leaving.code
    except BrokenPipeError:
        # The reader of the output is gone; the interpreter's last flush must not fail again because of that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except UsageError as error:
        _complain(error, traceback="--traceback" in args)
        return MISUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not _is_ours(error):
            raise
        sys.stderr.write(f"{error}\n")
        return FAILED
    return code if isinstance(code, int) else int(code is not None)


def _mend_streams() -> None:
    """Keep output from ending the command, where a stream is closed or its encoding lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def make_app(wanted: str = "") -> typer.Typer:
    """Make the application.

    :param wanted: The command to be called, where it is known. For a standard one nothing else is loaded, so that it
        works, and can describe the problem, when a plugin is broken.
    """
    app = typer.Typer(
        help="Run pipelines of taskiq tasks, and look at them.",
        add_completion=False,
        # Plain help starts four times as fast as the decorated one.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option("--version", help="Show the versions and leave.", is_eager=True, callback=_version),
        ] = False,
    ) -> None:
        pass

    if wanted in STANDARD:
        STANDARD[wanted](app)
        return app
    for register in STANDARD.values():
        register(app)
    if wanted != "--version":
        _register_others(app, wanted)
    return app


def _register_others(app: typer.Typer, wanted: str) -> None:
    """Add the commands of other plugins: the wanted one fully, the others only for the list."""
    from taskiq_flow.errors import PluginError
    from taskiq_flow.plugins import load_commands

    try:
        commands, problems = load_commands()
    except PluginError as error:
        # The settings are wrong; the standard commands report it when they are called.
        sys.stderr.write(f"only the standard commands are there: {error}\n\n")
        return
    if problems and wanted not in commands:
        lines = "".join(f"  {line}\n" for problem in problems for line in problem.splitlines())
        sys.stderr.write(
            f"some commands may be missing, because plugins cannot be used:\n{lines}"
            "`taskiq flow doctor` says what to do\n\n"
        )
    for name, command in commands.items():
        if name in STANDARD:
            continue
        if name == wanted:
            command().register(app)
        elif isinstance(command.help, str) and command.help:
            app.command(name, help=command.help)(_list_only)
        else:
            try:
                command().register(app)
            except Exception as error:  # noqa: BLE001 - a foreign command may raise anything when it registers
                release = commands.plugin_of(name).origin.release
                sys.stderr.write(
                    f"command {name!r} of {release} cannot be listed: {type(error).__name__}: {error}\n\n"
                )


def _list_only() -> None:
    raise AssertionError("this command was not wanted, so it was not registered")


def _is_ours(error: Exception) -> bool:
    """Whether an error is one of Taskiq-Flow, whose text is enough; checked without importing anything."""
    errors = sys.modules.get("taskiq_flow.errors")
    return errors is not None and isinstance(error, errors.FlowError)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    typer.echo(
        f"taskiq-flow-cli {version('taskiq-flow-cli')}, taskiq-flow-core {version('taskiq-flow-core')}"
    )
    raise typer.Exit


def _complain(error: UsageError, *, traceback: bool) -> None:
    if traceback and error.__cause__ is not None:
        from traceback import print_exception

        print_exception(type(error.__cause__), error.__cause__, error.__cause__.__traceback__)
    sys.stderr.write(f"{error}\n")
