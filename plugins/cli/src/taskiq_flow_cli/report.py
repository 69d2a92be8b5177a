"""The report about a finished run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.pretty import Pretty
from rich.segment import Segment
from rich.text import Text

from taskiq_flow_cli.words import printable, seconds

if TYPE_CHECKING:
    from taskiq_flow import CellFailed
    from taskiq_flow_cli.follow import Ending

__all__ = ["as_json", "data_of", "write_failures", "write_outputs", "write_verdict"]

_MOST_FAILURES = 20
_MOST_LINES = 15
_MOST_ITEMS = 10
_LONGEST_TEXT = 200


def data_of(ending: Ending) -> dict[str, Any]:
    """Return everything about a run as plain data, for ``--json``."""
    return {
        "run": ending.run,
        "status": ending.status,
        "reason": ending.reason,
        "outputs": dict(ending.outputs),
        "failures": [_data_of_failure(each) for each in ending.failures],
        "left_out": [
            {"map": owner, "position": position, **_data_of_failure(each)}
            for owner, items in ending.left_out.items()
            for position, each in items.items()
        ],
        "seconds": round(ending.seconds, 3),
    }


def _data_of_failure(failed: CellFailed) -> dict[str, Any]:
    return {
        "cell": failed.cell,
        "node": failed.node,
        "attempt": failed.attempt,
        "kind": failed.kind,
        "type": failed.failure.type,
        "message": failed.failure.message,
        "traceback": failed.traceback_text,
    }


def as_json(data: Any) -> str:
    """Write plain data as JSON: arrays and tables as lists, NaN as null, other values without a JSON form as text."""
    plain = to_jsonable_python(data, fallback=_plainer, bytes_mode="base64", inf_nan_mode="constants")
    try:
        return json.dumps(plain, allow_nan=False)
    except ValueError:
        # Turning NaN to null takes a second pass, so it happens only when there is one.
        return json.dumps(json.loads(json.dumps(plain), parse_constant=lambda _: None))


def _plainer(value: Any) -> Any:
    # For NumPy, pandas, Arrow and polars, because the text of a long array leaves most of it out.
    for method in ("tolist", "to_pylist", "to_dicts"):
        try:
            return getattr(value, method)()
        except Exception:  # noqa: BLE001 - it is not an array, or cannot become a list
            continue
    return repr(value)


def write_outputs(console: Console, ending: Ending) -> None:
    """Show the outputs, long ones shortened."""
    for name, value in ending.outputs.items():
        pretty = Pretty(
            value, max_length=_MOST_ITEMS, max_string=_LONGEST_TEXT, max_depth=5, expand_all=False
        )
        options = console.options.update(width=max(20, console.width - 2))
        lines = console.render_lines(pretty, options, pad=False)
        head = Text(f"{name} = ", style="bold")
        texts = [_text(line) for line in lines]
        if len(texts) == 1 and len(head) + texts[0].cell_len <= console.width:
            console.print(head + texts[0], soft_wrap=True)
            continue
        head.rstrip()
        console.print(head, soft_wrap=True)
        for text in texts[:_MOST_LINES]:
            console.print(Text("  ") + text, soft_wrap=True)
        if len(lines) > _MOST_LINES:
            console.print(
                Text(f"  … {len(lines) - _MOST_LINES} more lines; --json writes everything", style="dim")
            )


def _text(line: list[Segment]) -> Text:
    return Text.assemble(*((part.text, part.style or "") for part in line))


def write_failures(console: Console, ending: Ending, *, traceback: bool) -> None:
    """Show the failed cells with their errors, and the items that were left out.

    :param traceback: Whether to show the tracebacks.
    """
    for each in ending.failures[:_MOST_FAILURES]:
        _write_failure(console, each, traceback=traceback)
    hidden = len(ending.failures) - _MOST_FAILURES
    if hidden > 0:
        console.print(Text(f"and {hidden} more failures; --json lists all", style="red"), soft_wrap=True)
    left_out = [
        (f"{owner}[{position}]", each)
        for owner, items in ending.left_out.items()
        for position, each in items.items()
    ]
    for item, each in left_out[:_MOST_FAILURES]:
        _write_left_out(console, item, each)
    hidden = len(left_out) - _MOST_FAILURES
    if hidden > 0:
        console.print(
            Text(f"and {hidden} more items left out; --json lists all", style="yellow"), soft_wrap=True
        )
    if not traceback and any(each.traceback_text for each in ending.failures):
        console.print(Text("--traceback shows where these were raised", style="dim"), soft_wrap=True)


def _write_failure(console: Console, failed: CellFailed, *, traceback: bool) -> None:
    headline = Text(f"{failed.cell} failed", style="bold red")
    headline.append(f" on attempt {failed.attempt} ({failed.kind})\n", style="red")
    message = failed.failure.summary.strip() or "without a message"
    headline.append(
        "\n".join(f"  {printable(line)}" for line in message.splitlines()[:_MOST_LINES]), style=""
    )
    console.print(headline, soft_wrap=True)
    if traceback and failed.traceback_text:
        lines = failed.traceback_text.rstrip().splitlines()
        console.print(
            Text("\n".join(f"    {printable(line)}" for line in lines), style="dim"), soft_wrap=True
        )


def _write_left_out(console: Console, item: str, failed: CellFailed) -> None:
    first, _, rest = (failed.failure.summary.strip() or "without a message").partition("\n")
    line = Text(f"{item} failed and was left out: ", style="yellow")
    line.append(f"{printable(first)}{' …' if rest else ''}", style="")
    console.print(line, soft_wrap=True)


def write_verdict(console: Console, title: str, ending: Ending) -> None:
    """Write one line about the end of the run."""
    styles = {"succeeded": "bold green", "failed": "bold red"}
    line = Text(f"{title} ")
    line.append(ending.status, style=styles.get(ending.status, "bold yellow"))
    line.append(f" after {seconds(ending.seconds)}")
    if ending.reason:
        line.append(f": {ending.reason}")
    if ending.failures:
        line.append(f"; {len(ending.failures)} failed", style="red")
    if left_out := sum(map(len, ending.left_out.values())):
        line.append(f"; {left_out} failed and left out", style="yellow")
    console.print(line, soft_wrap=True)
