"""Where the configuration comes from, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from taskiq_flow.errors import PluginError
from taskiq_flow.plugins import FlowConfig

FILE = """
    [tool.taskiq-flow]
    store = "memory://file"
    scheduler = "from-file"
    serializer = "from-file"
    retry = "from-file"
    block = ["from-file"]
"""
ENVIRONMENT = {
    "TASKIQ_FLOW_STORE": "memory://environment",
    "TASKIQ_FLOW_SCHEDULER": "from-environment",
    "TASKIQ_FLOW_SERIALIZER": "from-environment",
    "TASKIQ_FLOW_RETRY": "from-environment",
    "TASKIQ_FLOW_BLOCK": "from-environment, another,",
    "TASKIQ_FLOW_TEST_SCALE": "1",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def load(folder: Path, environment: dict[str, str] | None = None, **arguments: Any) -> FlowConfig:
    return FlowConfig.load(directory=folder, environment=environment or {}, **arguments)


def test_without_any_configuration_nothing_is_named(tmp_path: Path) -> None:
    write(tmp_path, "[project]\nname = 'x'")

    assert load(tmp_path) == FlowConfig(
        store=None, scheduler=None, serializer=None, retry=None, retry_options=None, blocked=frozenset()
    )


def test_the_file_is_found_upwards(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    config = load(deep)

    assert config == FlowConfig(
        store="memory://file",
        scheduler="from-file",
        serializer="from-file",
        retry="from-file",
        blocked=frozenset({"from-file"}),
    )
    assert config.sources == dict.fromkeys(("store", "scheduler", "serializer", "retry", "block"), str(path))


def test_the_file_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FILE)
    monkeypatch.chdir(tmp_path)

    assert FlowConfig.load(environment={}).scheduler == "from-file"


def test_the_environment_is_above_the_file(tmp_path: Path) -> None:
    write(tmp_path, FILE)

    config = load(tmp_path, ENVIRONMENT)

    assert config == FlowConfig(
        store="memory://environment",
        scheduler="from-environment",
        serializer="from-environment",
        retry="from-environment",
        blocked=frozenset({"from-environment", "another"}),
    )
    assert set(config.sources.values()) == {"environment"}


def test_the_process_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKIQ_FLOW_SCHEDULER", "acme")

    assert FlowConfig.load(directory=tmp_path).scheduler == "acme"


def test_an_argument_is_above_all_and_each_setting_is_taken_for_itself(tmp_path: Path) -> None:
    write(tmp_path, FILE)

    config = load(tmp_path, {"TASKIQ_FLOW_RETRY": "from-environment"}, scheduler="argument", blocked=())

    assert config == FlowConfig(
        store="memory://file",
        scheduler="argument",
        serializer="from-file",
        retry="from-environment",
        blocked=frozenset(),
    )
    assert config.sources["scheduler"] == config.sources["block"] == "argument"


def test_an_empty_variable_selects_nothing_but_an_empty_list_blocks_nothing(tmp_path: Path) -> None:
    write(tmp_path, FILE)

    config = load(tmp_path, {"TASKIQ_FLOW_SCHEDULER": "", "TASKIQ_FLOW_BLOCK": ""})

    assert config.scheduler == "from-file"
    assert config.blocked == frozenset()


def test_every_mistake_in_the_file_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [tool.taskiq-flow]
        shceduler = "fifo"
        colour = "red"
        store = 5
        retry = ""
        block = "acme"
        """,
    )

    with pytest.raises(PluginError) as caught:
        load(tmp_path)

    assert str(caught.value) == (
        f"[tool.taskiq-flow] of {path} cannot be used: there is no setting 'shceduler' (did you mean 'scheduler'?); "
        "there is no setting 'colour'; there are 'store', 'scheduler', 'serializer', 'retry', 'discoverer', 'block', "
        "'tasks', 'codecs', 'claim_check', 'blobs', 'max_value_bytes'; "
        "'store' must be a name, found 5; 'retry' must be a name, found ''; "
        "'block' must be a list of names, found 'acme'"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.taskiq-flow", r"cannot read \[tool.taskiq-flow\] of .*pyproject.toml: "),
        ("tool.taskiq-flow = 5", "expected a table, found int"),
        ("tool = 'taskiq-flow'", "expected a table, found str"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)

    with pytest.raises(PluginError, match=said):
        load(tmp_path)


def test_the_broken_file_of_a_project_that_says_nothing_to_us_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "[[[")

    assert load(tmp_path) == FlowConfig()


def test_names_to_block_are_a_list(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=r"blocked is a list of names, found the text 'acme'; write \['acme'\]"
    ):
        load(tmp_path, blocked="acme")


def test_retries_can_be_configured_with_options(tmp_path: Path) -> None:
    path = write(tmp_path, "[tool.taskiq-flow.retry]\npolicy = 'acme'\nmax_retries = 5\n")

    found = load(tmp_path)
    assert (found.retry, found.retry_options) == ("acme", {"max_retries": 5})
    assert found.sources["retry"] == str(path)
    # The first who says anything of it says all of it.
    found = load(tmp_path, {"TASKIQ_FLOW_RETRY": ' {"delay": 2}'})
    assert (found.retry, found.retry_options, found.sources["retry"]) == (None, {"delay": 2}, "environment")
    found = load(tmp_path, {"TASKIQ_FLOW_RETRY": ' {"delay": 2}'}, retry="standard")
    assert (found.retry, found.retry_options) == ("standard", None)
    found = load(tmp_path, retry={"policy": "standard"})
    assert (found.retry, found.retry_options, found.sources["retry"]) == ("standard", {}, "argument")


@pytest.mark.parametrize(
    ("environment", "argument", "said"),
    [
        ("{max_retries: 3}", None, r"TASKIQ_FLOW_RETRY is '\{max_retries: 3\}', which is no JSON object"),
        (
            '{"policy": 3}',
            None,
            "TASKIQ_FLOW_RETRY cannot be used: 'policy' of 'retry' must be a name, found 3",
        ),
        ("", {"policy": ""}, "retry cannot be used: 'policy' of 'retry' must be a name, found ''"),
    ],
)
def test_options_for_retries_that_cannot_be_read_are_refused(
    tmp_path: Path, environment: str, argument: Any, said: str
) -> None:
    with pytest.raises(PluginError, match=said):
        load(tmp_path, {"TASKIQ_FLOW_RETRY": environment}, retry=argument)


def test_the_policy_of_the_file_is_a_name_too(tmp_path: Path) -> None:
    write(tmp_path, "[tool.taskiq-flow.retry]\npolicy = 5\n")

    with pytest.raises(PluginError, match="cannot be used: 'policy' of 'retry' must be a name, found 5"):
        load(tmp_path)


@pytest.mark.parametrize("key", ["store", "scheduler", "serializer", "retry", "discoverer"])
def test_a_selection_that_is_no_text_is_refused_with_who_said_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(PluginError, match=rf"'{key}' must be a text, found 3 \(argument\)"):
        load(tmp_path, **{key: 3})
