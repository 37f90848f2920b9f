"""AWS's recorded answers, played against the server. The score must not fall."""

import pytest

from benchmarks.conformance import Score, corpus, page, play, total, with_score

LEAST = {"L1": 0.996, "cause": 0.985, "L2": 0.99, "L3": 0.99}
"""What has been reached, less the few cases that depend on timing."""

WITH_A_MISS = {"api"}
"""Categories that have one at L1; docs/conformance.md says which, and why."""


@pytest.fixture(scope="module")
def score() -> Score:
    recordings = corpus()
    if recordings is None:
        pytest.skip(
            "there are no recordings in ../shared/conformance; NBFLOW_CONFORMANCE names another place"
        )
    return play(recordings)


@pytest.mark.parametrize("level", LEAST)
def test_the_answers_are_those_of_aws(score: Score, level: str) -> None:
    passed, cases = total(score)[level]
    assert passed / cases >= LEAST[level], f"{passed} of {cases}"


def test_a_category_without_a_miss_stays_so(score: Score) -> None:
    assert {category for category, each in score.items() if each["L1"][0] < each["L1"][1]} <= WITH_A_MISS


def test_the_page_has_a_line_for_each_category_and_the_sum() -> None:
    made = page({"base": {"L1": (3, 4), "cause": (0, 0), "L2": (1, 2), "L3": (1, 1)}})
    assert "| base | 3 of 4 (75.0%) |  | 1 of 2 (50.0%) | 1 of 1 (100.0%) |" in made
    assert "| **all** | 3 of 4 (75.0%) |" in made


def test_the_readme_has_the_score_between_its_marks() -> None:
    whole = {"L1": (4, 4), "cause": (0, 0), "L2": (2, 2), "L3": (1, 1)}
    made = with_score(
        "a\n<!-- score -->\nold\n<!-- /score -->\nb\n", {"base": whole, "map": {**whole, "L3": (0, 1)}}
    )
    assert made.startswith("a\n<!-- score -->\n**L1** 8 of 8 (100.0%)")
    assert made.endswith("\n<!-- /score -->\nb\n")
    assert "Everything right in base 4/4." in made
    assert "Not everything in map L1 4/4, L2 2/2, L3 0/1." in made
    assert "old" not in made
