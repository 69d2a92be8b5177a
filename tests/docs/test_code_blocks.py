"""The programs in the README and in docs/ run, and print what the comments beside them say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {
    f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}": match[1]
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs_print_what_they_say(program: str, tmp_path: Path) -> None:
    for needed in re.findall(r"[\w.]+", "".join(re.findall(r"^# needs: (.*)$", program, re.MULTILINE))):
        pytest.importorskip(needed)
    source = tmp_path / "program.py"
    source.write_text(program, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(source)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"^\s*print\(.*\)  # (.+)$", program, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_readme_has_exactly_two_commands() -> None:
    shells = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert [block.strip() for block in shells] == ["python run.py example", "python run.py test"]
