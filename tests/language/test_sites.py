"""The objects of a definition."""

import pytest

from nbflow.language.sites import Diagnostic, did_you_mean, sites, speaks_jsonata
from nbflow.language.values import Json

DEFINITION: dict[str, Json] = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "QueryLanguage": "JSONata",
            "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV"}},
            "ItemProcessor": {
                "StartAt": "Pick",
                "States": {"Pick": {"Type": "Choice", "Choices": [{"Next": "Pick"}, {"Next": "Pick"}]}},
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Both"}],
        },
        "Both": {"Type": "Parallel", "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Odd"}}}]},
        "States": {"Type": "Pass", "Result": {"Catch": [{}], "States": {"X": {}}}},
    },
}


def test_sites_lists_every_object_with_its_place_kind_and_language() -> None:
    assert [(site.location, site.kind, site.jsonata) for site in sites(DEFINITION)] == [
        ("", "StateMachine", False),
        ("/States/Each", "Map", True),
        ("/States/Each/ItemReader", "ItemReader", True),
        ("/States/Each/ItemReader/ReaderConfig", "ReaderConfig", True),
        ("/States/Each/ItemProcessor", "ItemProcessor", False),
        ("/States/Each/ItemProcessor/States/Pick", "Choice", False),
        ("/States/Each/ItemProcessor/States/Pick/Choices[0]", "Rule", False),
        ("/States/Each/ItemProcessor/States/Pick/Choices[1]", "Rule", False),
        ("/States/Each/Catch[0]", "Catcher", True),
        ("/States/Both", "Parallel", False),
        ("/States/Both/Branches[0]", "Branch", False),
        ("/States/Both/Branches[0]/States/A", "", False),
        ("/States/States", "Pass", False),
    ]


@pytest.mark.parametrize(
    ("node", "inherited", "expected"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"QueryLanguage": "JSONata"}, False, True),
        ({"QueryLanguage": "JSONPath"}, True, False),
        ({"QueryLanguage": "jsonpath"}, False, True),
        ({"QueryLanguage": 5}, False, True),
    ],
)
def test_speaks_jsonata(node: Json, inherited: bool, expected: bool) -> None:
    assert speaks_jsonata(node, inherited) is expected


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (Diagnostic("ERROR", "CODE", "What.", "/States/A"), "CODE at /States/A: What."),
        (Diagnostic("ERROR", "CODE", "What."), "CODE: What."),
        (Diagnostic("WARNING", "CODE", "What.", "/", "why"), "CODE at /: What. (why)"),
    ],
)
def test_a_diagnostic_reads_as_one_line(diagnostic: Diagnostic, text: str) -> None:
    assert str(diagnostic) == text


@pytest.mark.parametrize(("name", "expected"), [("Resourse", "did you mean 'Resource'?"), ("Zebra", None)])
def test_did_you_mean(name: str, expected: str | None) -> None:
    assert did_you_mean(name, ["Resource", "Retry"]) == expected
