import json
from dataclasses import replace

import pytest

from nbflow.engine.rows import bindings, code_of, code_row
from nbflow.tasks import function
from nbflow.tasks.job import Code


def double(x: int) -> int:
    return 2 * x


PLAIN = function.pin(double, "double", keywords=True)


@pytest.mark.parametrize(
    "code",
    [
        PLAIN,
        replace(PLAIN, on="dask", returns="number", resources=(("DISK", 0.5), ("GPU", 1)), concurrency=4),
        replace(PLAIN, on="local", concurrency=1),
    ],
)
def test_what_an_execution_and_the_store_remember_is_the_code(code: Code) -> None:
    (bound,) = json.loads(bindings({"f": code})).values()
    assert code_of(bound, code_row(code)) == code


def test_what_was_recorded_before_there_were_limits_is_still_read() -> None:
    bound = {
        name: getattr(PLAIN, name) for name in ("kind", "name", "path", "sha256", "keywords", "on", "returns")
    }
    assert json.loads(bindings({"f": PLAIN})) == {"f": bound}
    assert code_of(bound, code_row(PLAIN)) == PLAIN
