"""Task tokens: what is one, and what is none."""

import base64
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.machine import tokens

seeds = st.integers(0, 2**32).map(random.Random)


@given(seeds)
def test_a_token_is_one_and_can_be_written_anywhere(chance: random.Random) -> None:
    one, other = tokens.make(chance), tokens.make(chance)
    assert one != other
    assert tokens.is_token(one)
    assert re.fullmatch(r"[A-Za-z0-9_-]{48}", one)


@given(seeds, st.integers(0, 47), st.characters())
def test_a_token_with_another_character_is_none(chance: random.Random, at: int, other: str) -> None:
    token = tokens.make(chance)
    changed = token[:at] + other + token[at + 1 :]
    assert tokens.is_token(changed) is (changed == token)


@given(
    st.text() | st.binary(min_size=36, max_size=36).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_any_other_text_is_none(text: str) -> None:
    assert not tokens.is_token(text)


TOKEN = tokens.make(random.Random(7))
WITH_BOTH = next(
    token
    for token in (tokens.make(random.Random(seed)) for seed in range(1000))
    if "-" in token and "_" in token
)


@pytest.mark.parametrize(
    "text",
    [
        f"{TOKEN}=",
        f"{TOKEN}====",
        f" {TOKEN}",
        f"{TOKEN}\n",
        TOKEN[:-4],
        TOKEN + TOKEN,
        WITH_BOTH.replace("-", "+").replace("_", "/"),
        "\ud800",
        "",
    ],
    ids=ascii,
)
def test_what_is_nearly_a_token_is_none(text: str) -> None:
    assert not tokens.is_token(text)
