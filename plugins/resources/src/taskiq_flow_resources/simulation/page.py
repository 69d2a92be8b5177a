"""A simulation as a self-contained HTML page: the comparison, the chart, and the use of each worker."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskiq_flow_resources.simulation.gantt import draw_gantt
from taskiq_flow_resources.simulation.report import SimulationReport
from taskiq_flow_resources.simulation.tables import comparison, description, use_of_workers

__all__ = ["write_page"]

_STYLE = """
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;color:#222;
background:#fff;max-width:1220px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
table{display:block;overflow-x:auto;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .9rem;text-align:right;white-space:nowrap;border-bottom:1px solid #e3e5ea}
th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600;color:#555}
p{margin:.3rem 0;color:#444}.bad{color:#c0262d}figure{margin:1rem 0;overflow-x:auto}
"""


def write_page(reports: Sequence[SimulationReport]) -> str:
    """Write the text of an HTML file.

    :param reports: One for each scheduler, of the same run.
    """
    title = f"Simulation of {reports[0].graph}" if reports[0].graph else "Simulation"
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in description(reports[0]))]
    parts += [
        f'<p class="bad">{escape(f"{report.scheduler}: {complaint}")}</p>'
        for report in reports
        for complaint in report.complaints[:3]
    ]
    parts += [_table(comparison(reports)), f"<figure>{draw_gantt(reports)}</figure>"]
    for report in reports:
        parts += [f"<h2>Workers with {escape(report.scheduler)}</h2>", _table(use_of_workers(report))]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["<tr>" + "".join(f"<th>{escape(word)}</th>" for word in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in body]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
