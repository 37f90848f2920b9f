import os
from pathlib import Path

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.chunk import decode, encode, perform_chunk
from nbflow.tasks.function import pin
from nbflow.tasks.job import Job


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


def test_the_code_is_in_a_chunk_once(shelf: Shelf) -> None:
    code = pin(divide, "divide", keywords=False)
    one, many = (encode([Job("execution", i, code, i, shelf) for i in range(count)]) for count in (1, 100))
    assert len(many) < len(one) + 100 * 40
