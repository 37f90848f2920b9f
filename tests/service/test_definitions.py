"""What the API says of a definition."""

from dataclasses import dataclass

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import machine_arn
from nbflow.service.definitions import check_definition, reads_input, variable_references
from tests.service.support import PASS, Office, text


@dataclass(frozen=True)
class Reads:
    id: str
    state: dict[str, Json]
    names: list[str]


# fmt: off
READS = [
    Reads("nothing", {"Type": "Pass", "Parameters": {"a.$": "$.b", "c": "$d"}}, []),
    Reads("path", {"Type": "Pass", "OutputPath": "$answer.a[0]"}, ["answer"]),
    Reads("parameters", {"Type": "Pass", "Parameters": {"a": {"b.$": "$y.z"}, "c": [{"d.$": "$x"}]}}, ["x", "y"]),
    Reads("context object", {"Type": "Pass", "Parameters": {"a.$": "$$.Execution.Id"}}, []),
    Reads("intrinsic function", {"Type": "Pass", "Parameters": {"a.$": "States.Format('$no {}', $yes)"}}, ["yes"]),
    Reads("fail", {"Type": "Fail", "ErrorPath": "$e", "CausePath": "States.Format('{}', $c)"}, ["c", "e"]),
    Reads("choice", {"Type": "Choice", "Choices": [{"Variable": "$v", "NumericEqualsPath": "$w", "Next": "S"}]}, ["v", "w"]),
    Reads("JSONata", {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"a": "{% $x.y & '$no' & $states.input %}", "b": "$no"}}, ["x"]),
    Reads("JSONata functions", {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $sum($x) + $count ($y) %}"}, ["x", "y"]),
    Reads("JSONata's own variables", {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% ($a := $b; $map($c, function($v, $i) { $v + $i + $a })) %}"}, ["b", "c"]),
    Reads("the Map itself", {"Type": "Map", "MaxConcurrencyPath": "$n", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "OutputPath": "$inner", "End": True}}}}, ["n"]),
]
# fmt: on


@pytest.mark.parametrize("case", READS, ids=lambda case: case.id)
def test_the_variables_that_a_state_reads(case: Reads) -> None:
    found = variable_references(text({"StartAt": "S", "States": {"S": case.state}}))
    assert found.get("S", []) == case.names


def test_states_within_others_have_their_own() -> None:
    assert variable_references(text({"StartAt": "S", "States": {"S": READS[-1].state}})) == {
        "S": ["n"],
        "I": ["inner"],
    }


@pytest.mark.parametrize(
    ("fields", "reads"),
    [
        (
            {"Type": "Task", "Arguments": {"a": "{% $a %}", "b": "{% $states.context.Execution.Input %}"}},
            False,
        ),
        ({"Type": "Task", "Arguments": 1, "Output": "{% $states.result %}"}, False),
        ({"Type": "Map", "Items": "{% $all %}", "ItemProcessor": {"x": "{% $states.input %}"}}, False),
        ({"Type": "Task"}, True),
        ({"Type": "Task", "Arguments": 1, "Assign": {"a": "{% $states.input.a %}"}}, True),
        ({"Type": "Task", "Arguments": "{% $lookup($states, 'input') %}"}, True),
        ({"Type": "Pass"}, True),
        ({"Type": "Task", "Arguments": 1, "QueryLanguage": "JSONPath"}, True),
    ],
)
def test_whether_a_state_reads_its_input(fields: dict[str, Json], reads: bool) -> None:
    definition = {"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": fields}}
    assert reads_input(text(definition), "S") is reads


def test_they_are_shown_with_the_machine_and_for_an_execution(office: Office) -> None:
    state = {"Type": "Pass", "Assign": {"a": 1}, "Next": "T"}
    definition = {
        "StartAt": "S",
        "States": {"S": state, "T": {"Type": "Pass", "OutputPath": "$a", "End": True}},
    }
    run = office.start(office.machine(definition))
    shown = office.call("DescribeStateMachine", stateMachineArn=machine_arn("m"))
    assert shown["variableReferences"] == {"T": ["a"]}
    assert office.call("DescribeStateMachineForExecution", executionArn=run)["variableReferences"] == {
        "T": ["a"]
    }


def test_a_definition_is_parsed_once() -> None:
    assert check_definition(text(PASS)) is check_definition(text(PASS))
