"""Parameters against AWS's model, with the words of AWS's servers."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.service.errors import ApiError
from nbflow.service.validation import check, operations

ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
VERSION = f"{ARN}:1"


def one(value: str, member: str, constraint: str) -> str:
    return (
        f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
    )


@dataclass(frozen=True)
class Wrong:
    id: str
    action: str
    message: str
    parameters: dict[str, Json] = field(default_factory=dict)


PATTERN = r"Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$"
ROUTE = [{"stateMachineVersionArn": VERSION, "weight": 100}]
# fmt: off
WRONG = [
    Wrong("missing", "DescribeStateMachine", one("null", "stateMachineArn", "Member must not be null")),
    Wrong("null", "DescribeStateMachine", one("null", "stateMachineArn", "Member must not be null"), {"stateMachineArn": None}),
    Wrong("too short", "CreateActivity", one("''", "name", "Member must have length greater than or equal to 1"), {"name": ""}),
    Wrong("too long", "CreateActivity", one(f"'{'x' * 81}'", "name", "Member must have length less than or equal to 80"), {"name": "x" * 81}),
    Wrong("too small", "ListStateMachines", one("'-1'", "maxResults", "Member must have value greater than or equal to 0"), {"maxResults": -1}),
    Wrong("too large", "ListStateMachines", one("'1001'", "maxResults", "Member must have value less than or equal to 1000"), {"maxResults": 1001}),
    Wrong("enum, in the order of AWS's servers", "ListExecutions", one("'running'", "statusFilter", "Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]"), {"statusFilter": "running"}),
    Wrong("pattern", "CreateStateMachineAlias", one("'123'", "name", PATTERN), {"name": "123", "routingConfiguration": ROUTE}),
    Wrong("pattern in Java", "StartExecution", one("'ü'", "traceHeader", r"Member must satisfy regular expression pattern: \p{ASCII}*"), {"stateMachineArn": ARN, "traceHeader": "ü"}),
    Wrong("empty list", "CreateStateMachineAlias", one("'[]'", "routingConfiguration", "Member must have length greater than or equal to 1"), {"name": "a", "routingConfiguration": []}),
    Wrong("long list, as Java writes it", "CreateStateMachineAlias", one(f"'[RoutingConfigurationListItem(stateMachineVersionArn={VERSION}, weight=100){f', RoutingConfigurationListItem(stateMachineVersionArn={VERSION}, weight=100)' * 2}]'", "routingConfiguration", "Member must have length less than or equal to 2"), {"name": "a", "routingConfiguration": ROUTE * 3}),
    Wrong("within a list", "CreateStateMachineAlias", one("'101'", "routingConfiguration.2.member.weight", "Member must have value less than or equal to 100"), {"name": "a", "routingConfiguration": [*ROUTE, {"stateMachineVersionArn": VERSION, "weight": 101}]}),
    Wrong("within a structure", "CreateActivity", one("null", "encryptionConfiguration.type", "Member must not be null"), {"name": "a", "encryptionConfiguration": {}}),
    Wrong("sensitive", "ValidateStateMachineDefinition", "1 validation error detected: Value at 'definition' failed to satisfy constraint: Member must have length greater than or equal to 1", {"definition": ""}),
    Wrong("several", "CreateStateMachine", "2 validation errors detected: Value null at 'definition' failed to satisfy constraint: Member must not be null; Value null at 'roleArn' failed to satisfy constraint: Member must not be null", {"name": "m"}),
]
# fmt: on


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_broken_constraints_are_told_in_the_words_of_awss_servers(case: Wrong) -> None:
    with pytest.raises(ApiError) as caught:
        check(case.action, case.parameters)
    assert (caught.value.code, caught.value.message) == ("ValidationException", case.message)


@dataclass(frozen=True)
class Unreadable:
    id: str
    parameters: Json
    message: str
    action: str = "ListExecutions"


UNREADABLE = [
    Unreadable("no structure", [], "Unexpected field type"),
    Unreadable("number for text", {"stateMachineArn": 1}, "NUMBER_VALUE can not be converted to a String"),
    Unreadable("truth for text", {"stateMachineArn": True}, "TRUE_VALUE can not be converted to a String"),
    Unreadable("text for number", {"maxResults": "1"}, "STRING_VALUE can not be converted to an Integer"),
    Unreadable("truth for number", {"maxResults": False}, "FALSE_VALUE can not be converted to an Integer"),
    Unreadable(
        "object for text",
        {"stateMachineArn": {}},
        "Start of structure or map found where not expected.",
    ),
    Unreadable("list for text", {"stateMachineArn": []}, "Start of list found where not expected"),
    Unreadable(
        "text for truth",
        {"reverseOrder": "yes"},
        "STRING_VALUE can not be converted to a Boolean",
        "GetExecutionHistory",
    ),
    Unreadable("text for list", {"tags": "a"}, "Expected list or null", "TagResource"),
    Unreadable("text for structure", {"mock": "a"}, "Unexpected field type", "TestState"),
]


@pytest.mark.parametrize("case", UNREADABLE, ids=lambda case: case.id)
def test_a_wrong_type_cannot_be_read(case: Unreadable) -> None:
    with pytest.raises(ApiError) as caught:
        check(case.action, case.parameters)
    assert (caught.value.code, caught.value.message) == ("SerializationException", case.message)


def test_parameters_get_their_python_names_and_unknown_ones_are_ignored() -> None:
    given = {"stateMachineArn": ARN, "input": None, "traceHeader": "x", "somethingNew": 1}
    assert check("StartExecution", given) == {"state_machine_arn": ARN, "trace_header": "x"}


@given(
    st.sampled_from(sorted(operations())),
    st.dictionaries(
        st.sampled_from(["name", "stateMachineArn", "maxResults", "tags", "mock", "definition", "taskToken"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.dictionaries(st.text(), st.text())),
    ),
)
def test_whatever_is_given_is_accepted_or_refused_with_a_code(
    action: str, parameters: dict[str, Json]
) -> None:
    try:
        check(action, parameters)
    except ApiError as error:
        assert error.code in ("ValidationException", "SerializationException")  # noqa: PT017
