"""What is recorded of what tasks have printed: of an execution and of the children of its Map Runs."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

import nbflow as nf
from nbflow.client import display
from nbflow.client.connection import Connection
from nbflow.client.logs import Log, logs
from nbflow.language.values import Json
from tests.client.failing import Failing
from tests.client.gates import GATES
from tests.client.machines import branch, each, one, parallel, task


@pytest.fixture(autouse=True)
def threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nbflow.client.logs.LOOK", 0.001)
    return nf.connect(f"sqlite:///{tmp_path / 'nbflow.sqlite'}", pool="threads")


def say(input: Json) -> Json:
    print("said", input)
    return input


def gated(input: str) -> str:
    """Speaks, and waits at the gate that its input names; behind one with a question mark, something is to be mended."""
    from tests.client.gates import GATES

    print("at", input)
    GATES.wait(input)
    if input.startswith("?") and not GATES.mended:
        raise ValueError(input)
    return input


def told(found: Iterator[Log]) -> list[tuple[str, int, str]]:
    return [(log.label, log.number, log.text.rstrip("\n")) for log in found]


def scattered(state: Json, name: str = "Say", **fields: Json) -> Json:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    return {"Type": "Map", "ItemProcessor": {**branch(name, state), **config}, "End": True, **fields}


def test_each_attempt_that_printed_is_told_of_in_the_order_of_their_ends() -> None:
    def stubborn(input: int) -> None:
        import sys

        print("out")
        print("err", file=sys.stderr)
        raise ValueError

    run = one(stubborn).start(1).wait()
    run.redrive().wait()
    first, second = logs(run)
    assert (first.label, first.number, second.number) == ("'Work'", 1, 2)
    assert first.text == second.text == "out\nerr\n"
    assert first.attempt == run["Work"].attempts[0]


def test_what_is_in_forks_is_named_by_its_items() -> None:
    inner = {"Type": "Map", "ItemProcessor": branch("Say", task("say")), "End": True, "MaxConcurrency": 1}
    run = each(branch("Inner", inner), say, MaxConcurrency=1).start([[7, 8], [9]]).wait()
    found = told(logs(run))
    assert found == [
        ("'Say' of item 0 of item 0", 1, "said 7"),
        ("'Say' of item 1 of item 0", 1, "said 8"),
        ("'Say' of item 0 of item 1", 1, "said 9"),
    ]
    assert repr(run["Say"]) == "<step 'Say' of item 0 of item 1: SUCCEEDED>"
    for step in ("Say", "Inner", "Each"):
        assert told(logs(run, step)) == found
    with pytest.raises(nf.NbflowError, match="there is no step 'Sai'; the steps are: Each, Inner, Say"):
        next(logs(run, "Sai"))


def test_a_step_is_that_state_and_what_is_in_it() -> None:
    states = {
        "A": {**task("say", Next="B")},
        "B": parallel(branch("C", task("say")), branch("D", task("say"))),
    }
    run = nf.StateMachine({"StartAt": "A", "States": states}, tasks={"say": say}).start(1).wait()
    assert [label for label, _, _ in told(logs(run, "A"))] == ["'A'"]
    assert sorted(label for label, _, _ in told(logs(run, "B"))) == ["'C' of item 0", "'D' of item 1"]
    assert [label for label, _, _ in told(logs(run, "D"))] == ["'D' of item 1"]


def test_an_attempt_that_was_given_up_is_told_of_with_its_end() -> None:
    run = one(gated).start("g")
    GATES.reached("g")
    run.stop()
    GATES.open("g")
    while run.stopping:
        run.connection.store.changes()
    [log] = logs(run)
    assert log.text == "at g\n"
    assert log.attempt["ended"] is not None


def test_the_children_of_a_map_run_are_told_of_by_their_items() -> None:
    states = {"Scatter": scattered(task("say"), Next="After"), "After": task("say")}
    del states["Scatter"]["End"]
    run = nf.StateMachine({"StartAt": "Scatter", "States": states}, tasks={"say": say}).start([5, 6]).wait()
    assert told(logs(run)) == [
        ("'Say' of item 0", 1, "said 5"),
        ("'Say' of item 1", 1, "said 6"),
        ("'After'", 1, "said [5, 6]"),
    ]
    assert told(logs(run, "Scatter")) == told(logs(run, "Say")) == told(logs(run))[:2]
    assert [label for label, _, _ in told(logs(run, "After"))] == ["'After'"]
    assert told(logs(run["Scatter"].children[1])) == [("'Say'", 1, "said 6")]


def test_a_map_run_has_the_last_lines_of_its_last_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.client.executions.LAST_CHILDREN", 2)
    definition = {"StartAt": "Scatter", "States": {"Scatter": scattered(task("say"), MaxConcurrency=1)}}
    run = nf.StateMachine(definition, tasks={"say": say}).start([5, 6, 7]).wait()
    assert run["Scatter"].log == "[1] said 6\n[2] said 7\n"


def test_a_map_run_in_a_map() -> None:
    run = each(branch("Scatter", scattered(task("say"))), say, MaxConcurrency=1).start([[5], [6, 7]]).wait()
    assert [label for label, _, _ in told(logs(run))] == [
        "'Say' of item 0 of item 0",
        "'Say' of item 0 of item 1",
        "'Say' of item 1 of item 1",
    ]


def test_following_goes_on_to_the_end() -> None:
    machine = nf.StateMachine(
        {"StartAt": "Scatter", "States": {"Scatter": scattered(task("gated"), MaxConcurrency=2)}},
        tasks={"gated": gated},
    )
    run = machine.start(["a", "b", "c"])
    found = logs(run, follow=True)
    GATES.reached("b")
    assert told(logs(run)) == []
    for gate, label in (("b", "'Say' of item 1"), ("c", "'Say' of item 2"), ("a", "'Say' of item 0")):
        GATES.open(gate)
        assert next(found)[0] == label
    assert list(found) == []
    assert run.status == "SUCCEEDED"


def test_what_a_redrive_does_again_is_told_of_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = nf.StateMachine(
        {"StartAt": "Scatter", "States": {"Scatter": scattered(task("gated"), ToleratedFailureCount=1)}},
        tasks={"gated": gated},
    )
    run = machine.start(["?a", "?b"])
    found = logs(run, follow=True)
    GATES.open("?a")
    assert told(islice(found, 1)) == [("'Say' of item 0", 1, "at ?a")]
    GATES.open("?b")
    assert run.wait().status == "FAILED"
    monkeypatch.setattr(GATES, "mended", True)
    assert run.redrive().wait().status == "SUCCEEDED"
    assert told(found) == [
        ("'Say' of item 1", 1, "at ?b"),
        ("'Say' of item 1", 2, "at ?b"),
        ("'Say' of item 0", 2, "at ?a"),
    ]
    assert [log[:2] for log in told(logs(run))] == [
        ("'Say' of item 0", 1),
        ("'Say' of item 0", 2),
        ("'Say' of item 1", 1),
        ("'Say' of item 1", 2),
    ]


def test_whoever_follows_waits_for_a_store_that_fails(
    threads: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = one(say).start(1).wait()
    journal = Failing(threads.store.journal, 2)
    monkeypatch.setattr("nbflow.client.connection._POLL", 0.001)
    monkeypatch.setattr(threads.store, "journal", journal)
    assert told(logs(run, follow=True)) == [("'Work'", 1, "said 1")]
    assert capsys.readouterr().err.count("The store is away. It is waited for") == 1
    journal.left = 1
    with pytest.raises(nf.StoreError):
        next(logs(run))


def test_children_are_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.client.logs._PAGE", 2)
    run = nf.StateMachine(
        {"StartAt": "Scatter", "States": {"Scatter": scattered(task("gated"))}}, tasks={"gated": gated}
    ).start(["0", "1", "2", "3", "4"])
    found = logs(run, follow=True)
    for gate in "01234":
        GATES.open(gate)
    assert sorted(log.text for log in found) == [f"at {gate}\n" for gate in "01234"]
    assert [log.text for log in logs(run)] == [f"at {gate}\n" for gate in "01234"]


def test_a_log_is_shown_under_its_step() -> None:
    file = io.StringIO()
    display.show_log(
        Console(file=file), "'[b]'", 2, one(say).start("[/]").wait()["Work"].attempts[0], "[/]\n\n"
    )
    heading, text = file.getvalue().splitlines()
    assert heading.startswith("'[b]', attempt 2: 2")
    assert text == "[/]"


def test_express_children_are_told_of_at_the_step_of_their_map() -> None:
    state = scattered(task("say"), MaxConcurrency=1)
    state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "EXPRESS"
    definition = {"StartAt": "Each", "States": {"Each": state}}
    run = nf.StateMachine(definition, name="each", tasks={"say": say}).start([7, 8]).wait()
    assert told(logs(run)) == [("'Each'", 1, "[0] said 7\n[1] said 8")]
