"""The entry point for taskiq's command line. Each of taskiq's commands imports this module, so it imports nothing."""

from __future__ import annotations

from collections.abc import Sequence

from taskiq.abc.cmd import TaskiqCMD

__all__ = ["FlowCommandLine"]

_LAST_SECONDS = 2.0


class FlowCommandLine(TaskiqCMD):
    """The command ``taskiq flow``."""

    short_help = "Run and look at pipelines"

    def exec(self, args: Sequence[str]) -> int:
        """Run a command.

        :param args: The arguments behind ``taskiq flow``.
        :returns: The exit code.
        """
        from taskiq_flow_cli.app import main

        code = main(args)
        if args[:1] == ["run"]:
            from taskiq_flow_cli.leaving import leave_after

            # Attempts that were given up may still run in threads and processes; the interpreter would wait for them.
            leave_after(_LAST_SECONDS, code)
        return code
