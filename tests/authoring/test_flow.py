"""Definitions: what flows compile to, and that AWS would take it."""

import inspect
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import nbflow as nf
from nbflow.authoring.flow import FlowCode, compile_flow
from nbflow.authoring.task import notebook, task
from nbflow.language.validate import diagnose
from nbflow.language.values import Json
from tests.authoring import samples
from tests.authoring.making import code
from tests.authoring.running import Ended, run

GOLDEN = Path(__file__).parent / "golden"
"""To write a file anew, see :func:`test_a_flow_compiles_to_what_is_recorded`; then read it as a stranger would."""


@pytest.mark.parametrize("flow", [samples.report, samples.travel, samples.search])
def test_a_flow_compiles_to_what_is_recorded(flow: Any) -> None:
    made = compile_flow(flow)
    text = yaml.safe_dump(
        {"definition": made.definition, "tasks": list(made.tasks), "checks": made.checks},
        sort_keys=False,
        width=120,
    )
    assert text == (GOLDEN / f"{flow.__name__}.yaml").read_text(encoding="utf-8")
    assert diagnose(made.definition) == []
    assert json.loads(json.dumps(made.definition)) == made.definition


@pytest.mark.parametrize(
    ("input", "output"),
    [
        ({"card": "mine", "amount": 10}, {"booking": {"hotel": "Ritz"}, "paid": True}),
        ({"card": "wrong", "amount": 1, "hotel": "Inn"}, {"booking": None, "why": "no such card"}),
        ({"card": "mine", "amount": 1000}, ("NotPaid", "the card was refused")),
        ({"card": "lost", "amount": 1}, ("ConnectionResetError", "no connection")),
        ({"amount": 1}, ("States.QueryEvaluationError", None)),
    ],
)
def test_the_sample_with_a_saga(input: Json, output: Any) -> None:
    made = compile_flow(samples.travel)
    if isinstance(output, dict):
        assert run(made, input) == output == samples.travel(**input)
        return
    with pytest.raises(Ended) as raised:
        run(made, input)
    assert raised.value.error == output[0]
    assert output[1] in (None, raised.value.message)


def test_the_sample_with_maps() -> None:
    made = compile_flow(samples.search)
    assert run(made, {"name": "test", "data": [1, 2, 3]}) == [2, "test of test", [None, 0.5]]
    assert run(made, {"name": "x", "data": [], "depths": [5]}) == [5, "poor", [1 / 6]]


# --- names


def states(definition: Json) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, state in definition["States"].items():
        found[name] = state
        for inner in [
            *state.get("Branches", ()),
            *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
        ]:
            found |= states(inner)
    return found


def test_states_are_named_by_what_they_do() -> None:
    made = code("""
        def flow(x):
            a = [f(v) for v in x]
            b = [f(g(v)) for v in a if v]
            c = f(1)
            d = f(1)
            nf.wait(5)
            y, z = nf.parallel(f(c), g(d))
            if d == "a" and not a:
                raise nf.Fail("Bad")
            return max(
                b,  # of these
                key=len,
            )
    """)
    assert list(states(made.definition)) == [
        "flow(x)",
        "list(x)",
        "f",
        "f(v)",
        "for v in a if v",
        "[f(g(v)) for v in a if v]",
        "g",
        "f(g(v))",
        "f(1)",
        "f(1) (2)",
        "nf.wait(5)",
        "parallel(f, g)",
        "f(c)",
        "g(d)",
        'd == "a" and not a',
        'if d == "a" and not a',
        "Bad",
        "max(b, key=len)",
    ]


def test_a_long_name_is_cut() -> None:
    made = code(f"def flow(x):\n    return [x + {'1 + ' * 60}1, x + {'1 + ' * 60}1]\n")
    assert [name for name in states(made.definition) if len(name) == 80] == ["[x + " + "1 + " * 18 + "1 …"]
    assert diagnose(made.definition) == []


def test_a_task_on_an_activity_names_it_as_its_resource() -> None:
    """Its annotation is nobody's promise: what uses the result is Python."""
    arn = "arn:aws:states:us-east-1:000000000000:activity:count"

    def counted(x: Any) -> int:
        """How many."""
        raise NotImplementedError

    world = {"count": task(on=arn, timeout=60, heartbeat=15)(counted)}
    made = code("def flow(x):\n    n = count(x)\n    return n + 1\n", world)
    assert made.definition["States"]["counted"] == {
        "Type": "Task",
        "Comment": "How many.",
        "Resource": arn,
        "Arguments": {"x": "{% $x %}"},
        "TimeoutSeconds": 60,
        "HeartbeatSeconds": 15,
        "Assign": {"n": "{% $states.result %}"},
        "Next": "n + 1",
    }
    assert (list(made.tasks), made.checks) == (["n_1"], {})
    assert diagnose(made.definition) == []


def test_two_tasks_of_one_name_are_numbered() -> None:
    def namesake(x: Any) -> Any:
        return [x, "namesake"]

    other = task(name="f")(namesake)
    made = code("def flow():\n    return [f(1), other(2), f(3)]\n", {"other": other})
    assert list(made.tasks) == ["f", "f_2"]
    assert run(made) == [1, [2, "namesake"], 3]


def test_a_name_fits_into_an_arn() -> None:
    odd = task(name="é ü/" + "x" * 90)(lambda: 1)
    made = code("def flow(): return odd()", {"odd": odd})
    [name] = made.tasks
    assert name == "____" + "x" * 56


VARIABLES = {
    "_hidden": "hidden_",
    "states": "states_",
    "sum": "sum_",
    "true": "true_",
    "__": "value_",
    "ä": "ä",
}


@pytest.mark.parametrize("name", [*VARIABLES, "x" * 100])
def test_a_name_that_asl_has_not_is_another(name: str) -> None:
    made = code(
        f"def flow({name}, sum_=3):\n    {name} = [{name}, [f({name}) for _ in '12'], sum_]\n    return {name}\n"
    )
    assert diagnose(made.definition) == []
    assert run(made, {name: 1}) == [1, [1, 1], 3]


# --- parameters


def test_the_input_is_an_object_with_the_parameters() -> None:
    made = code("def flow(a, b=2, *, c='{% 1 %}', d=(), e={'k': [1.0]}, g=-0.0, h=2**60, i=None): return [a, b, c, e, g, h, i]"
                .replace("d=(), ", ""))  # fmt: skip
    assert list(made.signature.parameters) == ["a", "b", "c", "e", "g", "h", "i"]
    assert isinstance(made.signature, inspect.Signature)
    assert run(made, {"a": [[1]]}) == [[[1]], 2, "{% 1 %}", {"k": [1.0]}, -0.0, 2**60, None]
    given = {"a": 2**63, "b": [1], "c": None, "e": [], "g": [[]], "h": False, "i": ""}
    assert run(made, given) == list(given.values())


@pytest.mark.parametrize(
    ("parameter", "use", "good", "wrong", "words"),
    [
        ("x: int", "x > 1", 3, "3", "x must be a number"),
        ("x: int", "x > 1", 3, True, "x must be a number"),
        ("x: float = 1.5", "x > 1", 3, None, "x must be a number"),
        ("x: str", "x + 'a'", "", 1, "x must be a text"),
        ("x: bool", "not x", False, 0, "x must be true or false"),
        ("x: list[int]", "[f(v) for v in x]", [], {}, "x must be a list"),
        ("x: pd.DataFrame", "len(x)", {"rows": 1, "columns": 1}, [], "x must be a DataFrame"),
    ],
)
def test_an_annotation_that_counts_is_checked(
    parameter: str, use: str, good: Json, wrong: Json, words: str
) -> None:
    made = code(f"def flow({parameter}): return {use}", {"pd": pd})
    assert len(made.tasks) <= 1, "the expression has become JSONata"
    run(made, {"x": good})
    with pytest.raises(Ended, match=words):
        run(made, {"x": wrong})
    free = code(f"def flow({parameter}): return [x]", {"pd": pd})
    assert run(free, {"x": wrong}) == [wrong], "what does not count is not checked"


def test_a_tasks_annotation_that_counts_is_checked() -> None:
    @task
    def number(lie: Any = None) -> int:
        return 1 if lie is None else lie

    @task
    def pair(lie: Any = None) -> tuple[int, str]:
        return (1, "a") if lie is None else lie

    source = """
        def flow(lie=None):
            a, b = pair(lie)
            n = number(lie)
            m: str = b or 'z'
            k: str = f(b)  # an annotation of one result is none of the task
            if n < 2 and m + 'x' > 'a' and k > '':
                return [a, b, n]
    """
    made = code(source, {"number": number, "pair": pair})
    assert made.checks == {"pair": "array[2]"}, "one operand that is not proven, and all is Python's"
    made = code(source.replace(" and k > ''", ""), {"number": number, "pair": pair})
    assert made.checks == {"pair": "array[2]", "number": "number", "b_or_z": "string"}
    assert run(made) == [1, "a", 1]
    for lie in (["a"], [1, 2, 3], 5, "ab"):
        with pytest.raises(Ended, match="is no array"):
            run(made, {"lie": lie})
    assert code("def flow(): return number()", {"number": number}).checks == {}


# --- fields


def only(made: FlowCode) -> Json:
    [state] = [state for state in made.definition["States"].values() if state["Type"] in ("Task", "Map")]
    return state


def test_the_options_of_a_task_are_fields() -> None:
    @task(
        retry=[
            nf.Retry(OSError, "Mine", max_attempts=0, interval=5, backoff=1),
            nf.Retry(jitter=True, max_delay=9),
        ],
        timeout=7,
    )
    def careful(x: int) -> int:
        """Do it.

        At length.
        """
        return x

    state = only(code("def flow(): careful(1)", {"careful": careful}))
    assert state == {
        "Type": "Task",
        "Comment": "Do it.",
        "Resource": "arn:aws:lambda:us-east-1:000000000000:function:careful",
        "Arguments": {"x": 1},
        "TimeoutSeconds": 7,
        "Retry": [
            {"ErrorEquals": ["OSError", "Mine"], "IntervalSeconds": 5, "MaxAttempts": 0, "BackoffRate": 1.0},
            {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 2.0,
             "MaxDelaySeconds": 9, "JitterStrategy": "FULL"},
        ],
        "Next": "return None",
    }  # fmt: skip


def test_a_notebook_is_a_task() -> None:
    book = notebook("steps/train.ipynb", timeout=5)
    made = code("def flow(x): return book(year=x, depth=2)", {"book": book})
    assert made.tasks == {"train": book}
    assert only(made)["Arguments"] == {"year": "{% $x %}", "depth": 2}
    assert only(made)["TimeoutSeconds"] == 5


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ("", {}),
        ("concurrency=4, tolerate=2", {"MaxConcurrency": 4, "ToleratedFailureCount": 2}),
        ("tolerate=0.07", {"ToleratedFailurePercentage": 7.0}),
        ("concurrency=None, tolerate=None", {}),
    ],
)
def test_the_options_of_a_map_are_fields(options: str, fields: dict[str, Json]) -> None:
    made = code(f"def flow(): return nf.map(f, [1, 2], {options})")
    state = only(made)
    assert {name: state[name] for name in state if name.startswith(("Max", "Tol"))} == fields
    assert diagnose(made.definition) == []
    assert run(made) == [1, 2]


@pytest.mark.parametrize(("options", "kind"), [("", "STANDARD"), (", express=True", "EXPRESS")])
def test_a_map_can_be_distributed(options: str, kind: str) -> None:
    made = code(f"def flow(k): return nf.map(f, [1, 2], distributed=True{options})")
    config = only(made)["ItemProcessor"]["ProcessorConfig"]
    assert config == {"Mode": "DISTRIBUTED", "ExecutionType": kind}
    assert diagnose(made.definition) == []


def test_an_iteration_gets_what_it_reads_by_its_input() -> None:
    made = code("def flow(k):\n    a = 1\n    return [[f([k, v, w]) for w in 'a'] for v in [1, 2]]\n")
    inner = states(made.definition)["f([k, v, w])"]
    assert inner["Arguments"] == {"x": [f"{{% $states.input.{name} %}}" for name in "kvw"]}
    assert run(made, {"k": 0}) == [[[0, 1, "a"]], [[0, 2, "a"]]]


def test_what_an_iteration_reads_is_read_before_its_first_choice() -> None:
    made = code("def flow(k):\n    return [f(v) if k is None else g(v) for v in [1, 2]]\n")
    assert "for v in [1, 2]" in states(made.definition)
    assert run(made, {"k": None}) == [1, 2]
    assert run(made, {"k": 1}) == [[1, 2], [2, 2]]


def test_the_flows_text_is_its_comment() -> None:
    made = code('def flow():\n    """One.\n\n    Two.\n    """\n')
    assert made.definition == {
        "Comment": "One.\n\nTwo.",
        "QueryLanguage": "JSONata",
        "StartAt": "return None",
        "States": {"return None": {"Type": "Succeed", "Output": None}},
    }


def test_globals_mean_their_value_when_the_flow_is_compiled() -> None:
    world = {"LIMIT": 3, "chosen": None}
    source = "def flow(x: int):\n    return [x > LIMIT, LIMIT]\n"
    made = code(source, world)
    assert run(made, {"x": 4}) == [True, 3]
    assert made.tasks == {}


def test_a_decorated_flow_is_found() -> None:
    source = """
        def marked(*options):
            return lambda function: function

        if True:
            @marked(
                1,
            )
            @marked()
            def flow(x):
                text = '''a
        b'''
                return [x, text]
    """
    made = code(source)
    assert run(made, {"x": 1}) == [1, "a\nb"]


def test_a_flow_in_a_method_or_a_function_is_found() -> None:
    def build(step: int) -> Any:
        def flow(x: Any) -> Any:
            """Indented
            over lines."""
            return x + step

        return flow

    assert run(compile_flow(build(5)), {"x": 1}) == 6


@pytest.mark.parametrize(
    ("cause", "said"),
    [('f"{x:.1%} is lost"', "25.0% is lost"), ("str(x)", "0.25"), ('f"{f(x)}"', "0.25")],
)
def test_a_failure_whose_cause_is_computed_is_a_fail_state(cause: str, said: str) -> None:
    made = code(f'def flow(x):\n    raise nf.Fail("TooMuch", {cause})')
    assert made.definition["States"]["TooMuch"]["Type"] == "Fail"
    with pytest.raises(Ended) as raised:
        run(made, {"x": 0.25})
    assert (raised.value.error, raised.value.message) == ("TooMuch", said)


@pytest.mark.parametrize(
    "statement", ['raise nf.Fail("TooMuch", x)', "raise nf.Fail(x, str(x))", 'raise nf.Fail("", str(x))']
)
def test_a_failure_that_is_not_surely_a_text_is_raised_by_python(statement: str) -> None:
    made = code(f"def flow(x):\n    {statement}")
    assert {state["Type"] for state in made.definition["States"].values()} == {"Pass", "Task"}


def test_a_computed_failure_that_a_handler_takes_is_caught() -> None:
    made = code(
        """
        def flow(x):
            try:
                raise nf.Fail("TooMuch", f"{x} is lost")
            except nf.Fail as failed:
                return [failed.error, str(failed)]
        """
    )
    assert run(made, {"x": 1}) == ["TooMuch", "1 is lost"]
