"""What the actions check, and pages."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.service.definitions import check_definition
from nbflow.service.errors import ApiError
from nbflow.service.parameters import check_input, limit_of, make_token, page, read_token


@dataclass(frozen=True)
class BadInput:
    id: str
    text: str
    says: str


BAD_INPUTS = [
    BadInput("empty", "", "Expecting value at line 1 column 1"),
    BadInput("no JSON", "{'a': 1}", "Expecting property name enclosed in double quotes at line 1 column 2"),
    BadInput("second line", '{"a": 1,\n "b": }', "line 2 column 7"),
    BadInput("two values", "1 2", "Extra data at line 1 column 3"),
    BadInput("NaN", '{"a": NaN}', "NaN is no JSON number"),
    BadInput("infinity", "-Infinity", "-Infinity is no JSON number"),
    BadInput("too large", "[1e999]", "1e999 is no JSON number"),
    BadInput("endless digits", "1" * 5000, "4300 digits"),
    BadInput("too deep", "[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize("case", BAD_INPUTS, ids=lambda case: case.id)
def test_a_bad_input_is_refused_and_says_where(case: BadInput) -> None:
    with pytest.raises(ApiError) as caught:
        check_input(case.text)
    assert caught.value.code == "InvalidExecutionInput"
    assert case.says in caught.value.message
    assert len(str(caught.value)) < 400


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_an_input_is_its_value(value: Json) -> None:
    import json

    assert check_input(json.dumps(value)) == value


def test_a_bad_definition_lists_every_mistake_in_awss_words() -> None:
    with pytest.raises(ApiError) as caught:
        check_definition(
            '{"StartAt": "Nope", "States": {"A": {"Type": "Pass", "End": true}, "C": {"Type": "Pass", "Next": "B"}}}'
        )
    assert caught.value.code == "InvalidDefinition"
    assert caught.value.message == (
        "Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: Nope at /StartAt, "
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/C/Next, "
        'MISSING_TRANSITION_TARGET: State "A" is not reachable. at /States/A, '
        'MISSING_TRANSITION_TARGET: State "C" is not reachable. at /States/C\''
    )


def test_a_definition_that_is_no_json_names_no_place() -> None:
    with pytest.raises(
        ApiError, match=r"^Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: .*column 2'$"
    ):
        check_definition("{")


@given(st.integers(0, 30), st.integers(1, 12))
def test_pages_hold_every_item_once_in_order(count: int, size: int) -> None:
    items, seen, token = list(range(count)), [], None
    while True:
        answer = page("items", items, size, token)
        assert len(answer["items"]) <= size
        seen += answer["items"]
        token = answer.get("nextToken")
        if token is None:
            break
        assert answer["items"], "a token promises more"
    assert seen == items


def test_no_limit_means_the_default() -> None:
    assert (limit_of(0), limit_of(7), limit_of(1000)) == (100, 7, 1000)


@pytest.mark.parametrize("limit", [-1, 1001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(ApiError, match="at 'maxResults' failed to satisfy constraint") as caught:
        limit_of(limit)
    assert caught.value.code == "ValidationException"


@pytest.mark.parametrize("token", ["", "x", "-1", "1.5", "²"])
def test_a_token_that_nobody_gave_is_refused(token: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_token(token, "executions")
    assert (caught.value.code, caught.value.message) == ("InvalidToken", "Invalid Token: 'Invalid token'")


def test_a_token_is_opaque_and_good_for_one_question_only() -> None:
    token = make_token(7, "executions of m")
    assert not token.isdigit()
    assert read_token(token, "executions of m") == 7
    with pytest.raises(ApiError, match="Invalid Token"):
        read_token(token, "executions of n")
