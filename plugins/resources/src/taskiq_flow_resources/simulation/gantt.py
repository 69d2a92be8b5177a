"""Gantt charts as SVG: the attempts on each worker, one panel for each scheduler, all on one time axis."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from taskiq_flow.rehearsal import RehearsedAttempt
from taskiq_flow_resources.simulation.report import SimulationReport, WorkerUse
from taskiq_flow_resources.simulation.words import amounts, ratio, seconds, share

__all__ = ["draw_gantt"]

_WIDTH, _LEFT, _RIGHT, _MARGIN = 1200, 180, 120, 16
_TITLE, _AXIS, _LEGEND_LINE = 44, 26, 20
_GAP = 5
_TEXT_LINE = 15
_LANES_HEIGHT = 560
_TALLEST, _LOWEST, _LINED = 18.0, 2.0, 2.0
_LEGEND_WIDTH = 290
_MOST_IN_LEGEND = 20
# Distinct for colour-blind people too: Okabe and Ito's colours, then paler and darker ones.
_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#b8a800",
    "#7f7f7f",
    "#8da0cb",
    "#6a3d9a",
    "#b15928",
    "#66c2a5",
)
_STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;fill:#222}
.t{font-size:15px;font-weight:600}.s{fill:#555}.n{text-anchor:end}.m{text-anchor:middle}
.b{fill:#f4f5f7}.g{stroke:#d7dae0}.l{stroke:#c0262d;stroke-width:1.5;stroke-dasharray:5 4}.r{fill:#c0262d}
rect.a{stroke:#fff;stroke-width:.4}
"""


@frozen
class _Lane:
    """A lane of a worker: attempts that do not overlap."""

    attempts: tuple[RehearsedAttempt, ...]


def draw_gantt(reports: Sequence[SimulationReport]) -> str:
    """Draw reports of the same run below each other.

    :param reports: One for each scheduler.
    :returns: The text of an SVG file; it needs nothing else.
    """
    work: dict[str, float] = {}
    for each in _by_time(reports[0].attempts) if reports else ():
        work[each.task] = work.get(each.task, 0.0) + each.seconds
    # The tasks with the most visible bars get colours of their own.
    tasks = sorted(work, key=lambda task: -work[task])
    colours = {task: _COLOURS[place % len(_COLOURS)] for place, task in enumerate(tasks)}
    end = max((max(report.makespan, report.lower_bound) for report in reports), default=0.0) or 1.0
    body: list[str] = []
    top = float(_MARGIN)
    for report in reports:
        lines, top = _panel(report, end, colours, top)
        body += lines
    lines, top = _legend(colours, top)
    body += lines
    height = math.ceil(top + _MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img">\n<style>{_STYLE}</style>\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _by_time(attempts: Iterable[RehearsedAttempt]) -> list[RehearsedAttempt]:
    # An attempt without duration comes before others that began at the same moment.
    return sorted(attempts, key=lambda each: (each.began, each.ended, each.cell))


def _lanes(attempts: Iterable[RehearsedAttempt]) -> list[_Lane]:
    """Lay attempts out on as few lanes as possible."""
    lanes: list[list[RehearsedAttempt]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for attempt in _by_time(attempts):
        while busy and busy[0][0] <= attempt.began:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            lanes.append([])
            free.append(len(lanes) - 1)
        lane = heapq.heappop(free)
        lanes[lane].append(attempt)
        heapq.heappush(busy, (attempt.ended, lane))
    return [_Lane(tuple(each)) for each in lanes] or [_Lane(())]


def _panel(
    report: SimulationReport, end: float, colours: Mapping[str, str], top: float
) -> tuple[list[str], float]:
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    rows = [(use, _lanes(_of(report, use))) for use in report.workers]
    count = sum(len(lanes) for _, lanes in rows)
    room = _LANES_HEIGHT - _GAP * len(rows)
    height = max(_LOWEST, min(_TALLEST, room / max(1, count)))
    # A worker's name must stay readable.
    tallest = [max(14.0 if len(rows) <= 60 else 3.0, height * len(lanes)) for _, lanes in rows]
    bottom = top + _TITLE + sum(tallest) + _GAP * len(rows)
    named = f"{_shorten(report.graph, 90)}: {report.scheduler}" if report.graph else report.scheduler
    subtitle = (
        f"makespan {seconds(report.makespan)}, {ratio(report.ratio)} the lower bound of "
        f"{seconds(report.lower_bound)} ({report.bound.reason})"
    )
    lines = [
        f'<text x="{_MARGIN}" y="{top + 14:.1f}" class="t">{escape(named)}</text>',
        f'<text x="{_MARGIN}" y="{top + 32:.1f}" class="s">{escape(subtitle)}</text>',
        f'<text x="{_WIDTH - _RIGHT + 10}" y="{top + 32:.1f}" class="s">used</text>',
        *_axis(end, scale, top + _TITLE, bottom),
    ]
    y = top + _TITLE
    for (use, lanes), band in zip(rows, tallest, strict=True):
        lines += _worker(use, lanes, band, y, scale, colours, named=band >= 12)
        y += band + _GAP
    x = _LEFT + report.lower_bound * scale
    lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + _TITLE - 8:.1f}" y2="{bottom:.1f}" class="l"/>')
    anchor, shift = ("n", -5) if x > _WIDTH - _RIGHT - 90 else ("", 5)
    lines.append(
        f'<text x="{x + shift:.1f}" y="{top + _TITLE - 4:.1f}" class="r {anchor}">lower bound</text>'
    )
    return lines, bottom + _AXIS + 10


def _of(report: SimulationReport, use: WorkerUse) -> list[RehearsedAttempt]:
    return [each for each in report.attempts if each.worker == use.worker.id]


def _worker(
    use: WorkerUse,
    lanes: Sequence[_Lane],
    band: float,
    y: float,
    scale: float,
    colours: Mapping[str, str],
    *,
    named: bool,
) -> Iterator[str]:
    width = _WIDTH - _LEFT - _RIGHT
    yield f'<rect x="{_LEFT}" y="{y:.1f}" width="{width}" height="{band:.1f}" class="b"/>'
    if named:
        middle = y + band / 2 + 4
        has = amounts(use.worker.capacity) or "no bound"
        name = use.worker.id if band < 30 else f"{_shorten(use.worker.id, 18)}"
        yield (
            f'<text x="{_LEFT - 8}" y="{middle if band < 30 else middle - 7:.1f}" class="n">'
            f"{escape(_shorten(name, 18))}<title>{escape(f'{use.worker.id}: {has}')}</title></text>"
        )
        if band >= 30:
            yield f'<text x="{_LEFT - 8}" y="{middle + 8:.1f}" class="n s">{escape(_shorten(has, 22))}</text>'
        yield from _draw_use(use, band, middle)
    height = band / len(lanes)
    for place, lane in enumerate(lanes):
        for each in lane.attempts:
            wide = max(0.6, each.seconds * scale)
            # An outline would hide thin bars.
            drawn = ' class="a"' if min(wide, height) >= _LINED else ""
            yield (
                f'<rect{drawn} x="{_LEFT + each.began * scale:.2f}" y="{y + place * height:.2f}" '
                f'width="{wide:.2f}" height="{height:.2f}" fill="{colours[each.task]}">'
                f"<title>{escape(_describe(each))}</title></rect>"
            )


def _draw_use(use: WorkerUse, band: float, middle: float) -> Iterator[str]:
    """Draw the use of a worker, each resource on its own line where the height allows it."""
    parts = [f"{share(part)} {name}" for name, part in use.used.items()] or [f"{share(use.busy)} busy"]
    summary = ", ".join(parts)
    lines = parts if len(parts) * _TEXT_LINE <= band else [summary]
    top = middle - (len(lines) - 1) * _TEXT_LINE / 2
    for place, line in enumerate(lines):
        yield (
            f'<text x="{_WIDTH - _RIGHT + 10}" y="{top + place * _TEXT_LINE:.1f}" class="s">'
            f"{escape(_shorten(line, 16))}<title>{escape(summary)}</title></text>"
        )


def _describe(each: RehearsedAttempt) -> str:
    takes = f"; {amounts({**each.resources, **each.limits})}" if each.resources or each.limits else ""
    return (
        f"{each.cell} ({each.task})\n{seconds(each.began)} to {seconds(each.ended)}: {seconds(each.seconds)}"
        f"{takes}\nwaited {seconds(each.began - each.ready)}"
    )


def _axis(end: float, scale: float, top: float, bottom: float) -> Iterator[str]:
    step = _step(end / 8)
    count = int(end / step + 1e-9)
    for number in range(count + 1):
        x = _LEFT + number * step * scale
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" class="g"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 15:.1f}" class="s m">{escape(_tick(number * step, step))}</text>'


def _step(least: float) -> float:
    """Return the smallest round number of seconds, minutes or hours that is at least as large as the given one."""
    rounds = (60.0, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
    if least <= 30:
        power = 10.0 ** math.floor(math.log10(least))
        return next((each * power for each in (1, 2, 5) if each * power >= least * (1 - 1e-9)), 10 * power)
    return next((each for each in rounds if each >= least), 86400.0 * math.ceil(least / 86400))


def _tick(value: float, step: float) -> str:
    if step < 60:
        return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f} s"
    if step < 3600:
        minutes = value / 60
        return f"{minutes:g} min"
    return f"{value / 3600:g} h"


def _legend(colours: Mapping[str, str], top: float) -> tuple[list[str], float]:
    columns = (_WIDTH - 2 * _MARGIN) // _LEGEND_WIDTH
    shown = list(colours.items())[:_MOST_IN_LEGEND]
    lines = []
    for place, (task, colour) in enumerate(shown):
        x = _MARGIN + place % columns * _LEGEND_WIDTH
        y = top + place // columns * _LEGEND_LINE
        lines.append(f'<rect x="{x}" y="{y:.1f}" width="12" height="12" fill="{colour}"/>')
        lines.append(
            f'<text x="{x + 18}" y="{y + 10.5:.1f}">{escape(_shorten_front(task, 30))}'
            f"<title>{escape(task)}</title></text>"
        )
    rows = math.ceil(len(shown) / columns)
    more = len(colours) - len(shown)
    if more > 0:
        lines.append(
            f'<text x="{_MARGIN}" y="{top + rows * _LEGEND_LINE + 10.5:.1f}" class="s">'
            f"and {more} more tasks, in the same colours again</text>"
        )
        rows += 1
    return lines, top + rows * _LEGEND_LINE


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _shorten_front(text: str, length: int) -> str:
    # Names of tasks differ at their ends.
    return text if len(text) <= length else f"…{text[1 - length :]}"
