"""Write what the documentation takes from the code: ``--write`` brings it up to date, ``--check`` compares.

The diagram of a cell's states comes from the table of transitions, the hook reference from the
specifications. Each stands in its page between two comments, ``<!-- generated: NAME -->`` and
``<!-- end of NAME -->``; what is around them is written by hand.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from taskiq_flow import hookspecs
from taskiq_flow.machine.transitions import FINAL_STATES, TRANSITIONS, CellState

DOCS = Path(__file__).resolve().parents[1] / "docs"


def states() -> str:
    """Draw the cell's states as a Mermaid diagram, in the order of the table."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {CellState.PENDING.word}"]
    for (before, trigger), after in TRANSITIONS.items():
        lines.append(f"    {before.word} --> {after.word}: {trigger.value}")
    lines += [f"    {state.word} --> [*]" for state in sorted(FINAL_STATES)]
    return "\n".join([*lines, "```"])


def _hook(function: Callable[..., object]) -> str:
    names = ", ".join(inspect.signature(function).parameters)
    return f"### `{function.__name__}({names})`\n\n{_markdown(inspect.getdoc(function) or '')}"


def _markdown(docstring: str) -> str:
    """Turn the few roles and fields of a docstring into Markdown."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", docstring).replace("``", "`")
    text = re.sub(r"^\.\. versionadded:: (.+)$", r"Since \1.", text, flags=re.MULTILINE)
    text = re.sub(r"^:param (\w+): ?", r"- `\1`: ", text, flags=re.MULTILINE)
    text = re.sub(r"^:returns: ?", "- returns: ", text, flags=re.MULTILINE)
    text = re.sub(r"^:raises (\w+): ?", r"- raises `\1`: ", text, flags=re.MULTILINE)
    return re.sub(r"^ {4,}", "  ", text, flags=re.MULTILINE)


GENERATORS: dict[str, Callable[[], str]] = {
    "states": states,
    **{
        f"hook {name}": partial(_hook, function)
        for name, function in vars(hookspecs).items()
        if name.startswith("flow_") and callable(function)
    },
}


def current(page: str) -> str:
    """Give a page with its generated parts as they should be."""
    for name, generate in GENERATORS.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        if start in page:
            before, _, rest = page.partition(start)
            page = f"{before}{start}\n{generate()}\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Check the pages, or write them."""
    parser = argparse.ArgumentParser(description="the generated parts of docs/")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="fail when a page is not current")
    mode.add_argument("--write", action="store_true", help="bring the pages up to date")
    write = parser.parse_args().write

    pages = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
    homeless = [
        name for name in GENERATORS if not any(f"<!-- generated: {name} -->" in p for p in pages.values())
    ]
    stale = [path for path, page in pages.items() if current(page) != page]
    for path in stale:
        if write:
            path.write_text(current(pages[path]), encoding="utf-8", newline="\n")
        print(f"{path.relative_to(DOCS.parent)} {'is written' if write else 'is not current'}")
    for name in homeless:
        print(f"no page in docs/ has the comment <!-- generated: {name} -->")
    if stale and not write:
        print("run: tox run -e docs -- --write")
    return 1 if homeless or (stale and not write) else 0


if __name__ == "__main__":
    sys.exit(main())
