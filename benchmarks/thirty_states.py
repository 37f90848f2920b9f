"""A flow of thirty states and a little of everything: how long does compiling it take?"""

from typing import Any

import nbflow as nf


@nf.task
def load(name: str) -> list[int]:
    return [len(name)]


@nf.task(retry=nf.Retry(OSError))
def work(x: int, weight: int = 1) -> int:
    return x * weight


@nf.task
def publish(value: object) -> None:
    pass


@nf.flow
def thirty(name: str, limit: int, weights: list[int], strict: bool = False) -> Any:
    """Loads, maps, branches, catches."""
    first = load(name)
    scores = [work(x, weight=3) for x in first]
    grid = [[work(x, weight=w) for w in weights] for x in first if x > 0]
    best, worst = nf.parallel(work(max(scores)), work(min(scores)))
    if strict and limit > 5:
        try:
            again = load(name + "!")
            publish(again)
        except ConnectionError as error:
            raise nf.Fail("Unreachable", str(error))  # noqa: B904  # a flow knows no "from"
        except OSError:
            again = []
        label = "strict"
    elif limit < 0:
        again = first
        label = "open"
    else:
        again = first
        label = f"limit of {name}"
    total = work(best, weight=2) + work(worst) * limit
    publish({"total": total, "grid": grid, "label": label, "again": again})
    nf.wait(1)
    publish(sorted(scores)[:3])
    return {"total": total, "best": best if strict else None, "label": label}
