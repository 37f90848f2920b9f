"""Flows as people write them; what they compile to is in the folder ``golden``."""

from typing import Any

import pandas as pd

import nbflow as nf


@nf.task
def list_months(year: int) -> list[int]:
    """The months of a year that have data.

    (Only the first line is the state's comment.)
    """
    return [month for month in range(1, 4) if year > 2000]


@nf.task(retry=nf.Retry("ConnectionError", max_attempts=5, max_delay=30, jitter=True), timeout=60)
def monthly(month: int) -> pd.DataFrame:
    return pd.DataFrame({"month": [month]})


@nf.task
def combine(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts)


@nf.task
def find_worst(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return parts[-1]


@nf.task
def publish(total: pd.DataFrame, worst: pd.DataFrame) -> None: ...


def report(year: int = 2013) -> Any:
    """The report of a year."""
    months = list_months(year)
    parts = [monthly(m) for m in months]
    total, worst = nf.parallel(combine(parts), find_worst(parts))
    if len(total) == 0:
        raise nf.Fail("NoData", "nothing to report")
    publish(total, worst)
    return total


@nf.task
def book(hotel: str) -> dict[str, Any]:
    return {"hotel": hotel}


@nf.task
def cancel(booking: dict[str, Any]) -> None: ...


@nf.task(retry=nf.Retry(ConnectionError, interval=0))
def charge(card: str, amount: float) -> bool:
    if card == "lost":
        raise ConnectionResetError("no connection")
    if card == "wrong":
        raise ValueError("no such card")
    return amount < 100


def travel(card: str, amount: float, hotel: str = "Ritz") -> Any:
    booking = book(hotel)
    try:
        paid = charge(card, amount * 1.2)
        if not paid:
            raise nf.Fail("NotPaid", "the card was refused")
    except (OSError, nf.Fail):
        cancel(booking)
        raise
    except ValueError as e:
        return {"booking": None, "why": str(e)}
    return {"booking": booking, "paid": True}


@nf.task
def fit(data: list[int], depth: int) -> dict[str, int]:
    return {"depth": depth, "error": abs(len(data) - depth)}


@nf.task
def score(model: dict[str, int]) -> float:
    return 1.0 / (1 + model["error"])


def search(name: str, data: list[int], depths: list[int] = [1, 2]) -> Any:  # noqa: B006  # it is only read
    models = [fit(data, depth=d) for d in depths]
    scores = nf.map(score, models, concurrency=2)
    best = max(zip(scores, depths, strict=True))
    if name == "test":
        note = f"test of {name}"
    elif best[0] < 0.5:
        nf.wait(10)
        note = "poor"
    else:
        note = None
    return best[1], note, [score(fit(data, d)) if d > 1 else None for d in depths]
