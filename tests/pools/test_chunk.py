import os
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.chunk import LACKING, LARGE, _Contents, decode, encode, perform_chunk
from nbflow.tasks.function import pin
from nbflow.tasks.job import Code, Job


def divide(x: int) -> float:
    print("dividing by", x)
    return 12 / x


def test_a_chunk_there_and_back(shelf: Shelf, tmp_path: Path) -> None:
    code = pin(divide, "divide", keywords=False)
    before = os.getcwd()
    jobs = [
        Job(f"execution {x}", x, code, x, shelf, expected=("ArithmeticError",), directory=str(tmp_path))
        for x in (3, 0, 4)
    ]
    outcomes = decode(jobs, perform_chunk(encode(jobs)))
    assert [(outcome.execution, outcome.attempt) for outcome in outcomes] == [
        (j.execution, j.attempt) for j in jobs
    ]
    assert [(outcome.output, outcome.error) for outcome in outcomes] == [
        (4.0, None),
        (None, "ArithmeticError"),
        (3.0, None),
    ]
    assert [outcome.log for outcome in outcomes] == [f"dividing by {x}\n" for x in (3, 0, 4)]
    assert outcomes[1].cause
    assert all(outcome.seconds > 0 for outcome in outcomes)
    assert os.getcwd() == before, "only a worker with a process of its own changes it"


def test_who_invokes_a_function_gets_its_envelope(shelf: Shelf) -> None:
    jobs = [Job("execution", 1, pin(divide, "divide", keywords=False), 3, shelf, enveloped=True)]
    [outcome] = decode(jobs, perform_chunk(encode(jobs)))
    assert isinstance(outcome.output, dict)
    assert outcome.output["Payload"] == 4.0


def test_the_code_is_in_a_chunk_once(shelf: Shelf) -> None:
    code = pin(divide, "divide", keywords=False)
    one, many = (encode([Job("execution", i, code, i, shelf) for i in range(count)]) for count in (1, 100))
    assert len(many) < len(one) + 100 * 40


@pytest.fixture
def heavy() -> Code:
    """A code with much content."""
    load = os.urandom(2 * LARGE)
    return pin(lambda x: x + len(load), "heavy", keywords=False)


def test_a_large_code_travels_once(shelf: Shelf, heavy: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.pools.chunk._contents", _Contents())
    jobs = [Job("execution", 1, heavy, 1, shelf)]
    bare = encode(jobs, bare=True)
    assert len(bare) < LARGE < len(encode(jobs))
    assert perform_chunk(bare) == LACKING
    whole = decode(jobs, perform_chunk(encode(jobs)))
    again = decode(jobs, perform_chunk(bare))
    assert whole[0].output == again[0].output == 1 + 2 * LARGE


def test_a_worker_keeps_the_codes_that_were_used_last(heavy: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.pools.chunk.MOST_KEPT", 2.5 * len(heavy.content))
    contents = _Contents()
    codes = [replace(heavy, sha256=name) for name in "abc"]
    bare = [replace(code, content=LACKING) for code in codes]
    for code in codes[:2]:
        assert contents.complete(code) is code
    assert contents.complete(bare[0]) == codes[0]
    assert contents.complete(codes[2]) is codes[2]
    assert [contents.complete(each) for each in bare] == [codes[0], None, codes[2]]
