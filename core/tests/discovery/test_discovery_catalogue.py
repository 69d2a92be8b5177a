"""What is read from an entry point, what is registered with a broker, and what keeps from that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from taskiq import InMemoryBroker

from installed_packages import TEXT, Shelf
from taskiq_flow.discoverer import Discoverer, Origin, TaskSource
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.discovery import Catalogue
from taskiq_flow.errors import PluginError
from taskiq_flow.tasks.options import origin_of

pytestmark = pytest.mark.usefixtures("alone")


def source(found: Any, name: str = "code", distribution: str = "acme", **more: Any) -> TaskSource:
    """A source of something that is there already."""
    origin = Origin(distribution=distribution, version="1.0", target="acme:found")
    return TaskSource(name=name, origin=origin, load=lambda: found, **more)


def read(found: Any) -> tuple[list[str], list[str]]:
    """The names and the problems of one source."""
    catalogue = Catalogue.load([source(found)])
    return list(catalogue.tasks), [problem.error for problem in catalogue.problems]


def test_a_module_with_what_is_known_of_its_tasks(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    catalogue = shelf.catalogue()
    assert (catalogue.problems, catalogue.clashes) == ((), {})
    assert list(catalogue.tasks) == ["acme_text:load", "acme_text:report", "count_words"]
    assert catalogue.releases == ("acme-text 1.2",)
    report = catalogue.tasks["acme_text:report"]
    assert (report.source, str(report.origin)) == ("text", "acme-text 1.2 (acme_text:report)")
    assert (report.module, report.function) == ("acme_text", "report")
    assert (report.outputs, dict(report.output_types)) == (("report",), {"report": "str"})
    assert [(each.name, each.type, each.required) for each in report.inputs] == [
        ("pages", "list[str]", True),
        ("counts", "dict[str, int]", True),
        ("title", "str", False),
    ]
    assert (report.description, dict(report.resources)) == ("Write a report.", {"cpu": 2})
    assert catalogue.tasks["acme_text:load"].description == "Read the pages of a book."


def test_every_form_of_an_entry_point(shelf: Shelf) -> None:
    code = """
        from taskiq_flow import DataflowRegistry, pipeline_task
        from taskiq import async_shared_broker

        @pipeline_task(output="a")
        def one() -> int: ...

        @async_shared_broker.task
        def two(raw: int) -> int: ...

        LIST = [one]
        REGISTRY = DataflowRegistry().register_task(two, output="processed", inputs=["data"])
        def generated():
            yield one
            yield two
        def listed():
            return (one,)
        class Shelf:
            tasks = {one}
    """
    forms = ("", ":one", ":two", ":LIST", ":REGISTRY", ":generated", ":listed", ":Shelf.tasks")
    for number, form in enumerate(forms):
        # One distribution each, because two may not have the same task.
        shelf.offer(f"acme-{number}", "1", {f"p{number}": f"acme_forms{form}"}, acme_forms=code)
    found = {
        source.name: {task.function: task.outputs for task in Catalogue.load([source]).tasks.values()}
        for source in EntryPointDiscoverer().find()
    }
    one, two = {"one": ("a",)}, {"two": ("two",)}
    assert list(found.values()) == [one | two, one, two, one, {"two": ("processed",)}, one | two, one, one]
    [processed] = Catalogue.load([EntryPointDiscoverer().find()[4]]).tasks.values()
    assert [each.name for each in processed.inputs] == ["data"]


def test_what_a_module_imports_is_not_its_own(shelf: Shelf) -> None:
    (shelf.folder / "acme_pkg").mkdir()
    (shelf.folder / "acme_pkg" / "__init__.py").write_text(
        "from acme_pkg.inner import inside\nfrom acme_text import load\nfrom acme_pkg.inner import _hidden\n"
    )
    (shelf.folder / "acme_pkg" / "inner.py").write_text(
        "from taskiq_flow import pipeline_task\n@pipeline_task(output='x')\ndef inside(): ...\n"
        "@pipeline_task(output='y')\ndef _hidden(): ...\n"
    )
    shelf.offer("acme-pkg", "1", {"pkg": "acme_pkg"}, acme_text=TEXT)
    shelf.offer("acme-chosen", "1", acme_chosen="__all__ = ['load', 'gone']\nfrom acme_text import load\n")
    catalogue = shelf.catalogue()
    assert sorted(catalogue.tasks) == ["acme_pkg.inner:inside", "acme_text:load"]
    assert str(catalogue.tasks["acme_text:load"].origin) == "acme-chosen 1 (acme_text:load)"


def test_listing_imports_nothing_and_says_where_everything_is(shelf: Shelf, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    shelf.offer("acme-eager", "0.1", acme_eager=f"open({str(mark)!r}, 'w').close()\nraise ValueError('no')\n")
    sources = EntryPointDiscoverer().find()
    assert [(each.name, str(each.origin)) for each in sources] == [
        ("acme_eager", "acme-eager 0.1 (acme_eager)")
    ]
    assert not mark.exists()
    assert "acme_eager" not in sys.modules
    [problem] = Catalogue.load(sources).problems
    assert mark.exists()
    assert str(problem) == (
        "tasks 'acme_eager' of acme-eager 0.1 (acme_eager) cannot be used: ValueError: no"
    )


HOW = "decorate functions with @pipeline_task(output=...), or with @async_shared_broker.task"
FORMS = (
    "a module, a task, a list of tasks, a DataflowRegistry, or a function without arguments that gives one"
)
BROKEN = {
    "absent": ("acme_absent_", "", "No module named 'acme_absent_'"),
    "attribute": (
        "acme_attribute:gone",
        "x = 1",
        "AttributeError: module 'acme_attribute' has no attribute 'gone'",
    ),
    "syntax": ("acme_syntax", "def (", "SyntaxError: invalid syntax (acme_syntax.py, line 1)"),
    "exit": ("acme_exit", "raise SystemExit(3)", "SystemExit: 3"),
    "base": ("acme_base", "class Stop(BaseException): ...\nraise Stop", "Stop"),
    "endless": ("acme_endless", "def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "nothing": (
        "acme_nothing",
        "def plain(): ...",
        f"there is no task in it; {HOW}",
    ),
    "wanting": (
        "acme_wanting:tasks",
        "def tasks(broker): ...",
        "it is called without arguments: missing a required argument: 'broker'",
    ),
    "number": ("acme_number:x", "x = 5", f"expected {FORMS}, found int"),
    "given": ("acme_given:f", "def f(): return None", f"expected {FORMS}, found it to give NoneType"),
    "async": (
        "acme_async:f",
        "async def f(): return []",
        "it is an async function, and nobody awaits it; make it a plain one, or a task",
    ),
    "plain": (
        "acme_plain:TASKS",
        "def plain(): ...\nTASKS = [plain]",
        f"'plain' is of type function, which is no task; {HOW}",
    ),
    "raising": ("acme_raising:f", "def f():\n    yield 5\n    raise KeyError('x')", "KeyError: 'x'"),
}


def test_whatever_is_broken_is_told_and_hides_nothing(shelf: Shelf) -> None:
    for name, (target, code, _) in BROKEN.items():
        shelf.offer(f"acme-{name}", "0.1", {name: target}, **{f"acme_{name}": code})
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    catalogue = shelf.catalogue()
    assert list(catalogue.tasks) == ["acme_text:load", "acme_text:report", "count_words"]
    told = {problem.source: problem for problem in catalogue.problems}
    assert set(told) == set(BROKEN)
    for name, (target, _, error) in BROKEN.items():
        assert told[name].error.startswith(error), name
        assert str(told[name].origin) == f"acme-{name} 0.1 ({target})"


def test_somebody_who_wants_to_leave_is_let_go(shelf: Shelf) -> None:
    shelf.offer("acme-slow", "1", acme_slow="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        shelf.catalogue()


def test_an_entry_point_that_names_nothing(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.offer("acme-words", "0.1", {"words": "acme words!"})
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    catalogue = shelf.catalogue()
    assert "count_words" in catalogue.tasks
    # Some versions of importlib_metadata refuse it when they list it; then the log has it.
    told = [problem.error for problem in catalogue.problems] or [caplog.text]
    assert "acme words!" in told[0]
    if catalogue.problems:
        assert told == ["'acme words!' names nothing that could be imported; write module or module:object"]


def test_odd_neighbours_of_a_task_hide_nothing(shelf: Shelf) -> None:
    code = """
        from taskiq_flow import pipeline_task

        class Proxy:
            @property
            def __class__(self):
                raise RuntimeError("there is nothing behind this yet")
            def __getattr__(self, name):
                raise RuntimeError("there is nothing behind this yet")

        proxy = Proxy()

        @pipeline_task(output="x")
        def f() -> int: ...
    """
    shelf.offer("acme-odd", "1", acme_odd=code)
    catalogue = shelf.catalogue()
    assert (list(catalogue.tasks), catalogue.problems) == (["acme_odd:f"], ())


def test_tasks_that_are_made_anew_each_time(shelf: Shelf) -> None:
    code = """
        from taskiq_flow import pipeline_task
        def tasks():
            @pipeline_task(output="x")
            def made() -> int: ...
            return [made]
    """
    shelf.offer("acme-made", "1", {"made": "acme_made:tasks"}, acme_made=code)
    broker = InMemoryBroker()
    for _ in range(2):
        shelf.catalogue().bind(broker)
    assert set(broker.local_task_registry) == {"acme_made:made"}
    # taskiq has put the function into its module by now, under a name of its own.
    shelf.offer("acme-whole", "1", {"whole": "acme_made"})
    assert [problem.error for problem in shelf.catalogue().problems] == [f"there is no task in it; {HOW}"]


def test_one_bad_task_of_a_list_hides_no_other() -> None:
    from taskiq_flow import pipeline_task

    @pipeline_task(output="x")
    def good() -> int: ...

    @pipeline_task(outputs=["a", "b"])
    def bad() -> int: ...

    @pipeline_task(inputs=["nowhere"])
    def odd() -> int: ...

    names, problems = read([good, bad, 7, odd])
    assert [name.rpartition(":")[2] for name in names] == ["good"]
    assert [text.partition(";")[0] for text in problems] == [
        "node 'bad' produces 2 outputs ('a', 'b'), but its task returns int, which is no sequence",
        "an element is of type int, which is no task",
        "inputs 'nowhere' of node 'odd' cannot be told apart by position among its parameters (none)",
    ]


def test_two_distributions_with_a_task_of_one_name(shelf: Shelf) -> None:
    code = """
        from taskiq import async_shared_broker
        @async_shared_broker.task(task_name="sum_up")
        def {0}(x: int) -> int: ...
    """
    shelf.offer("acme-a", "1.0", acme_a=code.format("one"))
    shelf.offer("acme-b", "2.0", acme_b=code.format("two"))
    catalogue = shelf.catalogue()
    said = (
        "task 'sum_up' is offered by acme-a 1.0 (acme_a:one) and by acme-b 2.0 (acme_b:two); "
        "deny one of them, or give it a prefix"
    )
    assert "sum_up" not in catalogue.tasks
    assert catalogue.clash("sum_up") == said
    with pytest.raises(PluginError) as caught:
        catalogue.bind(InMemoryBroker())
    assert str(caught.value) == said


def test_one_task_in_two_sources_of_a_distribution_is_one_task(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"all": "acme_text", "load": "acme_text:load"}, acme_text=TEXT)
    catalogue = shelf.catalogue()
    assert list(catalogue.tasks) == ["acme_text:load", "acme_text:report", "count_words"]
    assert catalogue.clashes == {}


def test_of_two_versions_on_the_path_the_first_is_what_is_imported(shelf: Shelf, tmp_path: Path) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    later = tmp_path / "later"
    later.mkdir()
    Shelf(later).offer("Acme.Text", "9.9", {"text": "acme_text", "new": "acme_new"}, acme_text="1 / 0")
    sys.path.append(str(later))
    try:
        catalogue = shelf.catalogue()
    finally:
        sys.path.remove(str(later))
    assert {str(task.origin) for task in catalogue.tasks.values()} == {
        "acme-text 1.2 (acme_text:load)",
        "acme-text 1.2 (acme_text:report)",
        "acme-text 1.2 (acme_text:count)",
    }
    assert catalogue.problems == ()


def test_tasks_are_bound_once_and_keep_their_origin(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    broker = InMemoryBroker()
    shelf.catalogue().bind(broker)
    bound = dict(broker.local_task_registry)
    assert set(bound) == {"acme_text:load", "acme_text:report", "count_words"}
    assert {str(origin_of(task)) for task in bound.values()} == {
        f"acme-text 1.2 (acme_text:{name})" for name in ("load", "report", "count")
    }
    shelf.catalogue().bind(broker)
    assert dict(broker.local_task_registry) == bound
    other = InMemoryBroker()
    shelf.catalogue().bind(other)
    assert set(other.local_task_registry) == set(bound)


def test_an_application_keeps_its_own_tasks(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    broker = InMemoryBroker()
    broker.register_task(lambda: None, task_name="count_words")
    with pytest.raises(PluginError) as caught:
        shelf.catalogue().bind(broker)
    assert str(caught.value) == (
        "task 'count_words' of acme-text 1.2 (acme_text:count) is one that the application has itself; deny one of "
        "them, or give it a prefix"
    )
    # The others are there: whoever catches this can go on.
    assert "acme_text:load" in broker.local_task_registry


def test_a_task_of_a_broker_of_its_own_hides_no_other_task(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    shelf.offer(
        "acme-own",
        "1",
        acme_own="from taskiq import InMemoryBroker\nb = InMemoryBroker()\n@b.task\ndef f(): ...\n",
    )
    broker = InMemoryBroker()
    shelf.catalogue().bind(broker)
    assert set(broker.local_task_registry) == {"acme_text:load", "acme_text:report", "count_words"}
    assert (
        "task 'acme_own:f' of acme-own 1 (acme_own:f) belongs to a broker of its own (InMemoryBroker); decorate f() "
        "with @pipeline_task alone, or with @async_shared_broker.task"
    ) in caplog.text


def test_annotations_that_cannot_be_read_hide_no_other_task(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    shelf.offer(
        "acme-odd",
        "1",
        acme_odd="from taskiq_flow import pipeline_task\n@pipeline_task(output='x')\ndef f(a: 'Gone'): ...\n",
    )
    broker = InMemoryBroker()
    shelf.catalogue().bind(broker)
    assert set(broker.local_task_registry) == {"acme_text:load", "acme_text:report", "count_words"}
    assert (
        "task 'acme_odd:f' of acme-odd 1 (acme_odd:f) cannot be registered: NameError: name 'Gone' is not defined"
    ) in caplog.text


def test_a_source_names_its_tasks(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    [found] = EntryPointDiscoverer().find()
    renamed = TaskSource(
        name="text",
        origin=found.origin,
        load=found.load,
        rename=lambda name: None if "report" in name else f"acme.{name}",
    )
    broker = InMemoryBroker()
    Catalogue.load([renamed]).bind(broker)
    assert set(broker.local_task_registry) == {"acme.acme_text:load", "acme.count_words"}
    assert {task.task_name for task in broker.local_task_registry.values()} == set(broker.local_task_registry)


def test_a_source_that_fails_to_name_its_tasks_hides_no_other(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    [found] = EntryPointDiscoverer().find()

    def shout(name: str) -> str:
        raise LookupError(name)

    failing = TaskSource(name="failing", origin=found.origin, load=found.load, rename=shout)
    catalogue = Catalogue.load([failing, found])
    assert len(catalogue.tasks) == 3
    assert [each.error for each in catalogue.problems] == [
        f"naming task {name!r} failed: LookupError: {name}"
        for name in ("acme_text:load", "count_words", "acme_text:report")
    ]


@pytest.mark.parametrize("given", [3, ""])
def test_a_source_that_gives_a_task_no_name_hides_no_other(shelf: Shelf, given: Any) -> None:
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    [found] = EntryPointDiscoverer().find()
    nameless = TaskSource(name="nameless", origin=found.origin, load=found.load, rename=lambda name: given)
    catalogue = Catalogue.load([nameless, found])
    assert len(catalogue.tasks) == 3
    assert catalogue.problems[0].error == f"task 'acme_text:load' would be named {given!r}, which is no name"


def test_a_discoverer_without_settings_refuses_them() -> None:
    assert isinstance(EntryPointDiscoverer.from_settings({}), Discoverer)
    with pytest.raises(PluginError) as caught:
        EntryPointDiscoverer.from_settings({"deny": ["x"], "allow": []})
    assert str(caught.value) == (
        "discoverer 'entry-points' has no settings, found 'allow', 'deny' in [tool.taskiq-flow.tasks] or the "
        "environment; select one that has them, such as 'installed' of taskiq-flow-discovery"
    )


def test_a_package_that_makes_a_flow_when_it_is_imported(shelf: Shelf) -> None:
    shelf.offer(
        "acme-app",
        "1",
        acme_app="""
            from taskiq import InMemoryBroker
            from taskiq_flow import Flow, pipeline_task
            flow = Flow(InMemoryBroker(), discover=True)
            @pipeline_task(output="x")
            def f() -> int: ...
        """,
    )
    catalogue = shelf.catalogue()
    assert (list(catalogue.tasks), catalogue.problems) == (["acme_app:f"], ())


@pytest.mark.parametrize(
    "code",
    [
        "import taskiq_flow",
        "import taskiq, taskiq_flow; taskiq_flow.Flow(taskiq.InMemoryBroker())",
        "import taskiq, taskiq_flow; taskiq_flow.Flow(taskiq.InMemoryBroker(), discover=True)",
    ],
    ids=["door", "flow", "discovering flow"],
)
def test_discovery_and_builders_are_imported_where_they_are_needed(code: str) -> None:
    heavy = "('taskiq_flow.discovery', 'taskiq_flow.builders')"
    code = f"{code}\nimport sys\nprint([name for name in sys.modules if name.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_thousand_entry_points_are_listed_from_their_metadata(shelf: Shelf) -> None:
    for number in range(100):
        points = {f"p{number:03}-{point}": f"nowhere_{number}:x" for point in range(10)}
        shelf.offer(f"acme-{number:03}", "1", points)
    sources = EntryPointDiscoverer().find()
    assert len(sources) == 1000
    assert [each.name for each in sources] == sorted(each.name for each in sources)
