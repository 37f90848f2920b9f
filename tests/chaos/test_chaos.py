"""The acceptance test of durability: real processes are killed and paused, and nothing is lost.

``make chaos`` does the same for longer, from more seeds.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.run import Plan, blows, in_words, run

pytestmark = pytest.mark.timeout(900)  # it takes two minutes, and longer on a machine that is busy

STORES: Final[Mapping[str, Callable[[pytest.FixtureRequest, Path], str]]] = {
    "sqlite": lambda _, folder: f"sqlite:///{folder / 'nbflow.sqlite'}",
    "postgresql": lambda request, folder: request.getfixturevalue("postgres").schema(folder),
}
"""The URL of an empty store."""


@pytest.mark.parametrize("store", STORES)
def test_nothing_is_lost(
    store: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, begun = Plan(seed=1), time.monotonic()
    figures = run(tmp_path, STORES[store](request, tmp_path), plan)
    with capsys.disabled():
        print(f"\nchaos on {store}, {in_words(plan, figures, time.monotonic() - begun)}")
    assert figures.lost == []
    assert figures.kills >= 20
    assert figures.pauses >= 10
    assert figures.executions >= plan.executions


def test_a_seed_is_always_the_same_chaos() -> None:
    victims = ["server-0", "worker-0"]
    assert blows(Plan(5), victims) == blows(Plan(5), victims)
    assert blows(Plan(5), victims) != blows(Plan(6), victims)
