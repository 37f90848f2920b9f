"""What does the tasks of the golden executions. Read as text by make.py, so that no path is recorded with it."""

import pandas as pd

import nbflow as nf


@nf.task(on="local")
def price(item: int, tries: int) -> int:
    print(f"price of {item}, try {tries}")
    if item == 1 and tries == 0:
        raise nf.Fail("Flaky", "the first time")
    if item == 2:
        raise nf.Fail("NoPrice", f"of {item}")
    return 10 * item


@nf.task
def table(rows: int) -> pd.DataFrame:
    print(f"{rows} rows")
    return pd.DataFrame({"x": range(rows)})


@nf.task
def count(data: pd.DataFrame) -> int:
    return len(data)


@nf.task(name="count")
def broken(data: pd.DataFrame) -> int:
    print("before it breaks")
    return len(data) // 0


@nf.task
def ask(token: str) -> None:
    print("somebody is asked")
