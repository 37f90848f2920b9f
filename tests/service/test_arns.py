"""Names and ARNs, with AWS's errors."""

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.service.arns import LONGEST_NAME, check_arn, check_name, execution_arn, machine_arn, names_of
from nbflow.service.errors import ApiError


@dataclass(frozen=True)
class Bad:
    id: str
    name: str
    hint: str


BAD = [
    Bad("empty", "", "1 to 80 characters, not 0"),
    Bad("too long", "x" * 81, "1 to 80 characters, not 81"),
    Bad("blank", "a b", "' ' is not allowed"),
    Bad("line break", "a\n", r"'\n' is not allowed"),
    Bad("colon", "a:b", "':' is not allowed"),
    Bad("slash", "a/b", "'/' is not allowed"),
    Bad("bracket", "a[0]", "'[' is not allowed"),
    Bad("percent", "a%20b", "'%' is not allowed"),
    Bad("control", "a\x07", r"'\x07' is not allowed"),
    Bad("half a character", "a\ud800", r"'\ud800' is not allowed"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_a_bad_name_is_refused_in_awss_words_with_the_culprit(case: Bad) -> None:
    with pytest.raises(ApiError) as caught:
        check_name(case.name)
    assert caught.value.code == "InvalidName"
    assert caught.value.message == f"Invalid Name: '{case.name}'"
    assert case.hint in caught.value.hint
    assert str(caught.value) == f"{caught.value.message} ({caught.value.hint})"


@pytest.mark.parametrize("name", ["a", "x" * LONGEST_NAME, "2026-11-22T10.15_run", "Zürich", "a@b+c=d!"])
def test_a_good_name_is_answered(name: str) -> None:
    assert check_name(name) == name


@given(st.text(max_size=90))
def test_a_name_that_is_accepted_is_found_in_its_arn_again(name: str) -> None:
    with suppress(ApiError):
        check_name(name)
        assert names_of(execution_arn(name, name)) == (name, name)


def test_arns() -> None:
    assert machine_arn("m") == "arn:aws:states:us-east-1:000000000000:stateMachine:m"
    assert execution_arn("m", "r") == "arn:aws:states:us-east-1:000000000000:execution:m:r"
    assert check_arn(machine_arn("m")) == machine_arn("m")


def test_what_is_no_arn_is_refused_in_awss_words() -> None:
    with pytest.raises(ApiError) as caught:
        check_arn("m")
    assert (caught.value.code, str(caught.value)) == ("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: m'")
