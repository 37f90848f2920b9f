"""Definitions from everywhere, bindings, and starting."""

import datetime
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.client.machines import pin, read_definition, task_names
from nbflow.language.values import Json
from nbflow.testing import run_machine
from tests.client.machines import LAMBDA, one, task, waiting

DEFINITION: Json = {"StartAt": "Work", "States": {"Work": task("work")}}
YAML = f"StartAt: Work\nStates:\n  Work:\n    Type: Task\n    Resource: {LAMBDA}work\n    End: true\n"


def work(input: Any) -> Any:
    return {"got": input}


@nf.task
def add(a: int, b: int = 10) -> int:
    """Adds."""
    return a + b


# --- reading


@dataclass(frozen=True)
class Source:
    id: str
    definition: Any
    name: str = "machine"


def sources(folder: Path) -> list[Source]:
    (folder / "prices.asl.json").write_text(json.dumps(DEFINITION))
    (folder / "prices.yaml").write_text(YAML)
    return [
        Source("dict", DEFINITION),
        Source("JSON", json.dumps(DEFINITION)),
        Source("YAML", YAML),
        Source("YAML document", "---\n" + YAML),
        Source("path", folder / "prices.asl.json", "prices"),
        Source("path as text", str(folder / "prices.asl.json"), "prices"),
        Source("YAML file", folder / "prices.yaml", "prices"),
    ]


def test_a_definition_is_a_dict_a_text_or_a_file(tmp_path: Path) -> None:
    for source in sources(tmp_path):
        machine = nf.StateMachine(source.definition, tasks={"work": work})
        assert machine.definition == DEFINITION, source.id
        assert machine.name == source.name, source.id
        assert nf.StateMachine(source.definition, tasks={"work": work}, name="other").name == "other"


def test_json_text_is_kept_as_it_is() -> None:
    text = json.dumps(DEFINITION, indent=4)
    assert read_definition(text) == (text, None)


@dataclass(frozen=True)
class Unreadable:
    id: str
    definition: Any
    says: str
    kind: type[Exception] = nf.NbflowError


UNREADABLE = [
    Unreadable("no such file", "nope.asl.json", "there is no file nope.asl.json"),
    Unreadable("a folder", Path("/"), "the definition / cannot be read"),
    Unreadable("no YAML", "a: b: c\n", "the definition is neither JSON nor YAML"),
    Unreadable(
        "a date", "StartAt: 2020-01-01\nStates: {}\n", "the definition is not JSON: Object of type date"
    ),
    Unreadable("an object", {"StartAt": object()}, "the definition is not JSON: Object of type object"),
    Unreadable("no JSON", "{", "INVALID_JSON_DESCRIPTION", nf.DefinitionError),
    Unreadable("NaN", {"StartAt": float("nan")}, "NaN", nf.DefinitionError),
    Unreadable("a list", "- a\n- b\n", "Expected value of type", nf.DefinitionError),
    Unreadable("a number", 3, "a definition is a dict, a text or a path, not 3", TypeError),
]


@pytest.mark.parametrize("case", UNREADABLE, ids=lambda case: case.id)
def test_what_is_no_definition_says_so(
    case: Unreadable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(case.kind, match=case.says):
        nf.StateMachine(case.definition)


def test_all_mistakes_of_a_definition_are_told_at_once() -> None:
    states = {"A": {"Type": "Task", "Next": "B"}, "C": {"Type": "Pas"}}
    with pytest.raises(nf.DefinitionError) as caught:
        nf.StateMachine({"StartAt": "A", "States": states})
    lines = str(caught.value).splitlines()
    assert "SCHEMA_VALIDATION_FAILED at /States/A: These fields are required: [Resource]" in lines
    assert any(line.startswith("SCHEMA_VALIDATION_FAILED at /States/C/Type") for line in lines)
    assert "MISSING_TRANSITION_TARGET at /States/A/Next: Missing 'Next' target: B" in lines


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(nf.ApiError, match="' ' is not allowed in a name"):
        waiting("my flow")


def test_the_task_names_of_a_definition(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    states = {"A": task("a", Next="B"), "B": task("b:PROD", Next="C"), "C": task("a")}
    path.write_text(json.dumps({"StartAt": "A", "States": states}))
    assert task_names(path) == {"a", "b"}


# --- binding


@dataclass(frozen=True)
class Misfit:
    id: str
    tasks: dict[str, Any]
    says: tuple[str, ...]
    resource: str = LAMBDA + "work"


MISFITS = [
    Misfit("nothing bound", {}, ("/States/Work: nothing is bound to 'work'; pass tasks={'work': …}",)),
    Misfit("a slip", {"wrok": work}, ("(did you mean 'wrok'?)", "tasks['wrok'] is not named by any Task state")),
    Misfit(
        "an activity's task",
        {"work": nf.task(on="arn:aws:states:us-east-1:000000000000:activity:w")(work)},
        ("tasks['work'] is done by an activity: the state's Resource is arn:aws:states:",),
    ),
    Misfit("one too many", {"work": work, "play": work}, ("tasks['play'] is not named by any Task state",)),
    Misfit("not callable", {"work": 3}, ("tasks['work'] is 3, which cannot be called",)),
    Misfit("a service", {}, ("/States/Work: arn:aws:states:::sqs:sendMessage is a service",), "arn:aws:states:::sqs:sendMessage"),
]  # fmt: skip


@pytest.mark.parametrize("case", MISFITS, ids=lambda case: case.id)
def test_tasks_that_do_not_fit_are_all_listed(case: Misfit) -> None:
    definition = {"StartAt": "Work", "States": {"Work": task("") | {"Resource": case.resource}}}
    with pytest.raises(nf.BindingError) as caught:
        nf.StateMachine(definition, tasks=case.tasks)
    assert str(caught.value).startswith("the definition and tasks= do not fit:\n")
    assert all(words in str(caught.value) for words in case.says)
    assert len(str(caught.value).splitlines()) == 1 + len(case.says)


def test_a_binding_deep_inside_is_found_by_its_pointer() -> None:
    inner = {"StartAt": "Deep", "States": {"Deep": task("deep")}}
    definition = {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": inner, "End": True}}}
    with pytest.raises(
        nf.BindingError, match="/States/Each/ItemProcessor/States/Deep: nothing is bound to 'deep'"
    ):
        nf.StateMachine(definition)


def test_versions_and_aliases_of_a_function_are_the_function() -> None:
    states = {"A": task("work:3", Next="B"), "B": task("work:$LATEST")}
    machine = nf.StateMachine({"StartAt": "A", "States": states}, tasks={"work": work})
    assert repr(machine) == "<nbflow state machine machine: 2 states, starts at 'A'>"
    assert run_machine(machine, 1).output == {"got": {"got": 1}}


# --- starting


def test_a_bare_callable_gets_the_input_and_a_task_its_members(connection: Connection) -> None:
    assert one(work).run([1, None]) == {"got": [1, None]}
    assert one(add).run({"a": 1}) == 11
    assert one(add).run(a=1, b=2) == 3
    assert one(work).run() == {"got": {}}
    assert add(1, 2) == 3, "calling a task is plain Python"
    assert repr(add) == "<nbflow task add>"


def test_an_input_is_one_value_or_keywords(connection: Connection) -> None:
    with pytest.raises(TypeError, match="as one value or as keywords, not both"):
        one(add).start({"a": 1}, b=2)
    with pytest.raises(nf.NotJson, match=r"input\['a'\]\[1\] is nan"):
        one(work).start({"a": [1, float("nan")]})
    assert nf.executions() == []


def test_a_dataframe_is_an_input(connection: Connection) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]})
    run = one(work).start(frame)
    result = run.result()
    assert isinstance(result, dict)
    pd.testing.assert_frame_equal(result["got"], frame)
    assert run.input["rows"] == 3


def test_a_start_takes_the_machine_and_the_functions_as_they_are_now(connection: Connection) -> None:
    assert one(work).run(1) == {"got": 1}

    def twice(input: int) -> int:
        return 2 * input

    assert one(twice, name="one").run(1) == 2
    assert [row["name"] for row in connection.service.list_state_machines()["stateMachines"]] == ["one"]
    assert len(nf.executions("one")) == 2


def test_a_name_that_is_taken_is_refused_and_the_same_start_is_answered(connection: Connection) -> None:
    machine = waiting()
    run = machine.start(execution_name="monday")
    assert machine.start(execution_name="monday").arn == run.arn
    with pytest.raises(nf.ApiError, match=r"Execution Already Exists: .*choose another name"):
        machine.start({"other": 1}, execution_name="monday")


def test_what_cannot_travel_is_refused_before_anything_is_recorded(connection: Connection) -> None:
    import threading

    lock = threading.Lock()

    def locked(input: Any) -> Any:
        return lock

    with pytest.raises(nf.NbflowError, match=r"task 'locked' cannot be sent to a worker: .*lock"):
        one(locked).start()
    assert nf.executions() == []


def test_a_notebook_that_is_missing_is_named_when_the_execution_starts(connection: Connection) -> None:
    machine = nf.StateMachine(DEFINITION, tasks={"work": nf.notebook("nope.ipynb")})
    with pytest.raises(nf.NbflowError, match=r"task 'work': there is no notebook .*nope\.ipynb"):
        machine.start()
    assert nf.executions() == []


def test_tasks_run_in_the_starters_folder(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("found")

    def read(input: Any) -> str:
        return Path("here.txt").read_text()

    assert one(read).run() == "found"


def test_yaml_may_be_indented_in_the_source(connection: Connection) -> None:
    text = textwrap.dedent(
        """
        StartAt: Say
        States:
          Say: {Type: Pass, Result: hello, End: true}
        """
    )
    assert nf.StateMachine(text).run() == "hello"
    assert datetime.datetime.now(datetime.UTC) >= nf.executions()[0].started


def test_where_a_task_runs_is_pinned_with_its_code() -> None:
    code = pin("work", nf.task(resources={"GPU": 1}, concurrency=2)(work))
    assert (code.on, code.resources, code.concurrency) == ("dask", (("GPU", 1),), 2)
