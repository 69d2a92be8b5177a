"""Build the wheels of all distributions, install them in a clean environment and use them there.

The distributions are found only among the wheels just built (``--no-index``): the name
``taskiq-flow`` on the public index belongs to another project.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [ROOT, ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]

# Runs inside the clean environment: where a distribution came from is what it says, not what we hope.
PROVENANCE = """
import importlib.metadata, sys, taskiq_flow
assert "site-packages" in taskiq_flow.__file__, taskiq_flow.__file__
print(*[importlib.metadata.version(name) for name in sys.argv[1:]])
"""


def build(target: Path) -> list[Path]:
    """Build one wheel for each distribution."""
    for folder in FOLDERS:
        build_one(folder, target)
    return sorted(target.glob("*.whl"))


def build_one(folder: Path, target: Path) -> None:
    """Build the wheel of a folder."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(target), str(folder)], check=True)


def metadata(wheel: Path) -> tuple[str, list[str]]:
    """Read a wheel's name and what it requires outside of extras."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    required = [str(line) for line in headers.get_all("Requires-Dist") or [] if "extra ==" not in line]
    return str(headers["Name"]), required


def problems_of(wheel: Path) -> list[str]:
    """Say what a wheel has that it should not have, or lacks."""
    with zipfile.ZipFile(wheel) as archive:
        entries = [entry for entry in archive.namelist() if ".dist-info/" not in entry]
    problems = [f"{wheel.name} contains {entry}" for entry in entries if "test" in Path(entry).parts[0]]
    packages = {Path(entry).parts[0] for entry in entries}
    return problems + [
        f"{wheel.name} lacks {package}/py.typed"
        for package in packages
        if f"{package}/py.typed" not in entries
    ]


def check(work: Path) -> None:
    """Build, install and use the distributions below a folder."""
    shutil.rmtree(work, ignore_errors=True)
    wheels = build(work / "wheels")
    described = dict(metadata(wheel) for wheel in wheels)
    if problems := [problem for wheel in wheels for problem in problems_of(wheel)]:
        raise SystemExit("\n".join(problems))

    clean = work / "clean"
    venv.create(clean, with_pip=True)
    programs = clean / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    others = {line for required in described.values() for line in required if not _named(line, described)}
    subprocess.run([*pip, *sorted(others)], check=True)
    subprocess.run([*pip, "--no-index", "--find-links", str(work / "wheels"), "taskiq-flow"], check=True)

    python = str(programs / "python")
    subprocess.run([python, "-c", PROVENANCE, *described], cwd=work, check=True)
    listing = [str(programs / "taskiq"), "flow", "plugins"]
    listed = subprocess.run(listing, cwd=work, check=True, capture_output=True, text=True).stdout
    print(listed)
    if missing := [name for name in described if name != "taskiq-flow" and name not in listed]:
        raise SystemExit(f"taskiq flow plugins does not list {', '.join(missing)}")
    use(programs, work)
    extend(programs, work)
    print(f"{len(wheels)} distributions built, installed and used: {', '.join(sorted(described))}")


def use(programs: Path, work: Path) -> None:
    """Run the README's example on a small tree with what is installed."""
    shutil.copytree(ROOT / "examples", work / "project" / "examples")
    sample = ROOT / "tools"
    command = [
        str(programs / "taskiq"),
        "flow",
        "run",
        "examples.codebase.pipeline:pipeline",
        f"root={sample}",
    ]
    subprocess.run(command, cwd=work / "project", check=True)


def extend(programs: Path, work: Path) -> None:
    """Begin a plugin with what is installed, install it as well, and let the doctor look at everything."""
    begin = [str(programs / "taskiq"), "flow", "new-plugin", "acme", "--kind", "scheduler"]
    subprocess.run(begin, cwd=work, check=True)
    build_one(work / "acme", work / "acme-wheels")
    install = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wheel = next((work / "acme-wheels").glob("*.whl"))
    subprocess.run([*install, "--no-index", str(wheel)], check=True)
    environment = {**os.environ, "TASKIQ_FLOW_SCHEDULER": "acme"}
    subprocess.run([str(programs / "taskiq"), "flow", "doctor"], cwd=work, env=environment, check=True)


def _named(requirement: str, names: dict[str, list[str]]) -> bool:
    """Whether a requirement is for one of the distributions here."""
    return any(requirement == name or requirement.startswith((f"{name}=", f"{name} ")) for name in names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--work", type=Path, required=True, help="a folder that may be emptied")
    check(parser.parse_args().work.resolve() / "packages")
