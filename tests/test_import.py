"""``import nbflow``: what it costs, and what it offers."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import nbflow as nf

HEAVY = ["alembic", "boto3", "dask", "distributed", "numpy", "pandas", "papermill", "pyarrow", "pydantic", "rich", "sqlalchemy", "typer"]  # fmt: skip


def test_the_import_costs_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import nbflow; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "nbflow" in loaded
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []
    assert [name for name in loaded if name.startswith("nbflow.")] == []


def test_running_an_ordinary_task_needs_neither_dask_nor_pandas(tmp_path: object) -> None:
    code = (
        "import sys, nbflow as nf\n"
        f"nf.connect('sqlite:///{tmp_path}/s.sqlite')\n"
        "state = {'Type': 'Task', 'Resource': 'arn:aws:lambda:us-east-1:000000000000:function:f', 'End': True}\n"
        "machine = nf.StateMachine({'StartAt': 'W', 'States': {'W': state}}, tasks={'f': lambda input: input})\n"
        "assert machine.run({'a': 1}) == {'a': 1}\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert (
        loaded & {"dask", "distributed", "pandas", "papermill", "boto3", "rich", "typer", "pyarrow"} == set()
    )


@pytest.mark.parametrize("name", nf.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(nf, name)
    assert value.__name__ == name
    assert value.__doc__


def test_no_module_hides_a_public_name() -> None:
    assert [name for name in nf.__all__ if find_spec(f"nbflow.{name}")] == []


def test_completion_offers_the_public_names_only() -> None:
    assert [name for name in dir(nf) if not name.startswith("_")] == sorted(nf.__all__)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'nbflow' has no attribute 'flwo'"):
        nf.flwo  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_has_the_one_base() -> None:
    for name in nf.__all__:
        value = getattr(nf, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, nf.NbflowError)


def test_editors_see_the_types() -> None:
    @nf.task
    def half(number: int) -> float:
        return number / 2

    @nf.task(name="twice")
    def double(number: int) -> int:
        return 2 * number

    result: float = half(3)
    other: int = double(number=3)
    assert (result, other) == (1.5, 6)
    half("3" if result < 0 else 3)  # type: ignore[arg-type]  # mypy sees the function's own signature
