"""The comparison with peers runs, with the sides that need nothing installed, at sizes that say nothing about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from benchmarks import run
from benchmarks.peers import conversation, environments, table
from benchmarks.peers.comparison import Findings, compare_sides, label
from benchmarks.peers.conversation import PeerFailed
from benchmarks.peers.environments import NotInstalled, python_of
from benchmarks.peers.protocol import NAMES, expected, side_of
from benchmarks.peers.roster import BY_HAND, OURS, ROSTER, Side
from benchmarks.peers.table import text_of
from benchmarks.shapes import SHAPES

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (str(ROOT), *(path for path in sys.path if path))


def this_python(side: Side) -> str:
    """Give the interpreter of the tests, for everyone."""
    return sys.executable


async def compare(*sides: Side, folder: Path | None = None) -> Findings:
    folders = FOLDERS if folder is None else (*FOLDERS, str(folder))
    return await compare_sides(9, 1, sides=sides, python=this_python, folders=folders, warm_up=0)


@pytest.fixture
def probe(request: pytest.FixtureRequest, tmp_path: Path) -> Side:
    """A side whose program is the text of the test's parameter."""
    (tmp_path / "probe.py").write_text(request.param, encoding="utf-8")
    return evolve(BY_HAND, name="probe", program="probe")


async def test_programs_take_turns_and_come_to_the_expected_values() -> None:
    few = evolve(BY_HAND, name="few", most=4, most_of={"map": 2})
    sides = [side for side in ROSTER if side.environment in ("ours", "asyncio")]
    found = await compare(*sides, few)
    assert not found.absent
    assert list(found.shapes) == list(NAMES)
    for shape, of_shape in found.shapes.items():
        nodes = 2 if shape == "map" else 4
        assert not of_shape.missing
        # Who is given fewer nodes is compared with ours at as many.
        turns = {label(side, 9) for side in sides} | {label(few, nodes), label(OURS, nodes)}
        assert set(of_shape.compared.wall) == set(of_shape.compared.processor) == turns
        assert all(len(seconds) == 1 for seconds in of_shape.compared.wall.values())
    text = text_of(found)
    assert text.count("| few | 4 |") == 3
    assert text.count("| few | 2 |") == 1
    assert f"Measured with Python {sys.version.split()[0]}." in text


@pytest.mark.parametrize("count", [1, 2, 9, 10])
async def test_expected_values_are_those_of_the_shapes(count: int) -> None:
    async def call(name: str, argument: Any) -> int:
        return int(argument) + 1 if name == "step" else sum(argument)

    async def gather(calls: Any) -> list[int]:
        return [await each for each in calls]

    assert tuple(shape.name for shape in SHAPES) == NAMES
    for shape in SHAPES:
        assert await shape.by_hand(call, gather, count) == expected(shape.name, count)
    assert len(SHAPES[NAMES.index("layered")].graph(count).nodes) == side_of(count) ** 2 + 1


def test_a_peer_that_pip_cannot_install_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, requirements: list[str]) -> Path:
        assert (name, requirements) == ("peers/absent", ["acme==1"])
        raise subprocess.CalledProcessError(1, ["pip", "install"])

    monkeypatch.setattr(environments, "_commands", lambda: SimpleNamespace(programs_of=fail))
    absent = evolve(BY_HAND, environment="absent", requirements=("acme==1",))
    with pytest.raises(NotInstalled, match="pip could not install acme==1 for Python 3"):
        python_of(absent)


def test_ours_is_installed_from_its_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []
    commands = environments._commands()

    def programs_of(name: str, requirements: list[str]) -> Path:
        asked.append((name, requirements))
        return Path("programs")

    monkeypatch.setattr(commands, "programs_of", programs_of)
    monkeypatch.setattr(environments, "_commands", lambda: commands)
    assert python_of(OURS) == str(Path("programs") / "python")
    [(name, requirements)] = asked
    assert name == "peers/ours"
    assert requirements[:2] == ["--editable", str(ROOT / "core")]
    assert python_of(BY_HAND) == sys.executable
    assert len(asked) == 1


async def test_a_side_that_is_not_installed_is_a_line_of_the_table() -> None:
    def python(side: Side) -> str:
        if side.name == "absent":
            raise NotInstalled("pip could not install acme==1")
        return sys.executable

    absent = evolve(BY_HAND, name="absent")
    found = await compare_sides(2, 1, sides=(OURS, absent), python=python, folders=FOLDERS, warm_up=0)
    assert "| absent | not measured | not measured: pip could not install acme==1 |" in text_of(found)


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("raise SystemExit('no such | service')", "its process ended: no such / service"),
        ("", "its process ended"),
        ("print('hello')", "it did not speak the protocol: hello"),
    ],
    indirect=["probe"],
    ids=["words", "silence", "other words"],
)
async def test_a_program_that_does_not_start_is_a_line_of_the_table(
    probe: Side, reason: str, tmp_path: Path
) -> None:
    found = await compare(OURS, probe, folder=tmp_path)
    assert found.absent == {"probe": reason.replace("/", "|")}
    assert f"| not measured: {reason} |" in text_of(found)


NOT_OFFERED = """
from benchmarks.peers.protocol import NotOffered, serve
def prepare(shape, count):
    if shape == "map":
        raise NotOffered("there is no map")
    if shape == "layered":
        raise RecursionError("too deep")
    print("noise")
    return lambda: count
serve(prepare)
"""


@pytest.mark.parametrize("probe", [NOT_OFFERED], indirect=True, ids=["probe"])
async def test_what_a_peer_cannot_do_is_said_where_its_number_would_stand(
    probe: Side, tmp_path: Path
) -> None:
    found = await compare(OURS, probe, folder=tmp_path)
    assert [of_shape.missing for of_shape in found.shapes.values()] == [
        {},
        {},
        {"probe": "RecursionError: too deep"},
        {"probe": "there is no map"},
    ]
    assert "| probe | – | there is no map |" in text_of(found)


@pytest.mark.parametrize(
    "probe",
    ["from benchmarks.peers.protocol import serve\nserve(lambda shape, count: lambda: 7)"],
    indirect=True,
    ids=["probe"],
)
async def test_a_wrong_value_is_no_comparison(probe: Side, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="probe, 9 nodes: chain came to 7, not 9"):
        await compare(BY_HAND, probe, folder=tmp_path)


@pytest.mark.parametrize("probe", ["import sys; sys.stdin.read()"], indirect=True, ids=["probe"])
async def test_who_keeps_silent_is_ended(
    probe: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PATIENCE", 0.0)
    with pytest.raises(PeerFailed, match="no answer within 0 seconds"):
        await conversation.Conversation.start(
            probe, sys.executable, (*FOLDERS, str(tmp_path)), tmp_path / "home"
        )


async def test_nothing_goes_on_without_ours() -> None:
    with pytest.raises(PeerFailed, match="no_such_program"):
        await compare(evolve(OURS, program="no_such_program"), BY_HAND)


def test_the_command_writes_the_section_of_the_peers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "section", lambda count, repeat: f"{count} nodes, {repeat} turns")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- peers -->\nold\n<!-- end of peers -->\nb\n", encoding="utf-8")
    words = ["--nodes", "3", "--repeat", "2", "--readme", str(readme)]
    run.main(["--only", "peers", *words])
    assert "old" in readme.read_text(encoding="utf-8")
    run.main(["--peers", *words])
    text = "a\n<!-- peers -->\n3 nodes, 2 turns\n<!-- end of peers -->\nb\n"
    assert readme.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out == "3 nodes, 2 turns\n" * 2


def test_the_readme_has_a_section_with_every_side() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    written = text.partition("<!-- peers -->\n")[2].partition("\n<!-- end of peers -->")[0]
    assert [name for side in ROSTER if f"| {(name := side.name)} |" not in written] == []
