"""``taskiq flow doctor``: run all examinations, and write the findings."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from attrs import asdict

from taskiq_flow.terminal import printable, reserve_stdout
from taskiq_flow_cli.doctor.findings import Finding, State

__all__ = ["examine"]

_MARKS = {State.FINE: ("✓", "green"), State.NOTE: ("•", "yellow"), State.PROBLEM: ("✗", "bold red")}


def examine(target: str | None, *, as_json: bool, app_dir: str | None, traceback: bool = False) -> int:
    """Examine the installation, and an application where one is named.

    :param target: ``MODULE:NAME`` of a flow, a broker or a pipeline; ``None`` for none.
    :param as_json: Write one JSON object to the standard output, and nothing else.
    :param app_dir: A folder that is searched before the working directory.
    :param traceback: Show the traceback where the application cannot be imported.
    :returns: The exit code: 1 when something should be done.
    """
    with reserve_stdout(as_json) as stdout:
        findings = asyncio.run(_all(target, app_dir, traceback))
        if as_json:
            from taskiq_flow_cli.report import as_json as written

            counts = Counter(each.state for each in findings)
            data = {
                "findings": [{**asdict(each), "state": each.state.value} for each in findings],
                "problems": counts[State.PROBLEM],
                "notes": counts[State.NOTE],
            }
            stdout.write(f"{written(data)}\n")
        else:
            _write(findings, stdout)
    return int(any(each.state is State.PROBLEM for each in findings))


async def _all(target: str | None, app_dir: str | None, traceback: bool) -> list[Finding]:
    from taskiq_flow_cli.doctor.conformance import conformance_findings
    from taskiq_flow_cli.doctor.installation import distribution_findings, plugin_findings
    from taskiq_flow_cli.doctor.tasks import task_findings

    findings = [
        *distribution_findings(),
        *plugin_findings(),
        *conformance_findings(),
        *task_findings(),
    ]
    if target is not None:
        from taskiq_flow_cli.doctor.application import application_findings

        findings += [each async for each in application_findings(target, app_dir, traceback)]
    return findings


def _write(findings: Sequence[Finding], stdout: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stdout if stdout is not sys.stdout else None)
    area, newline = "", "\n"
    for each in findings:
        if each.area != area:
            area = each.area
            console.print(Text(f"{'' if each is findings[0] else newline}{area}", style="bold"))
        mark, style = _MARKS[each.state]
        # Names and errors are foreign text; control characters in them are shown, not obeyed.
        text = printable(f" {each.subject}: {each.text}", lines=True)
        line = Text.assemble("  ", (mark, style), text)
        console.print(line, soft_wrap=True)
    todo = [each for each in findings if each.state is not State.FINE and each.advice]
    problems = sum(each.state is State.PROBLEM for each in findings)
    notes = sum(each.state is State.NOTE for each in findings)
    if todo:
        console.print(Text("\nnext", style="bold"))
    for each in sorted(todo, key=lambda each: each.state is State.NOTE):
        subject = (printable(each.subject, lines=True), _MARKS[each.state][1])
        console.print(Text.assemble("  ", subject, f": {printable(each.advice)}"), soft_wrap=True)
    verdict = f"{problems} problem{'s' * (problems != 1)}" if problems else "no problems"
    more = f", {notes} note{'s' * (notes != 1)}" if notes else ""
    console.print(Text(f"\n{verdict}{more}", style="bold red" if problems else "bold green"))
