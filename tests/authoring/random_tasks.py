"""The world of the random flows: the tasks, helper functions, exceptions and constants that their source may name.

The tasks are deterministic, so that a flow can run twice: once as plain Python, once as a state machine. Their
annotations are true; what has none (``mixed``, ``echo``) returns anything that JSON holds. Some fail, by a table of
exceptions that inherit from one another.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import nbflow as nf


class OwnError(Exception):
    """An exception of the user's."""


class OwnMissing(OwnError, LookupError):
    """One that two hierarchies meet in."""


LIMIT = 3
BIG = 2**60
LOW = -(2**63)
RATE = 0.5
FLAG = True
NOTHING = None
TEXT = "{% $states.input %}"
NUMBERS = [2, 0, 1]
TABLE = [[1, 2], [], [3]]
COUNTS = {"a": 1, "x.$": 2}

MIXED: Final[tuple[Any, ...]] = (
    True, 1, 1.0, 0, 0.0, -0.0, False, None, "", "1", "true", [], {}, [[]], [None], [[1], [2]], {"a": []}, {"a": None},
    [1, "1", 1.0, True], 2**53 + 1, 2**63, -(2**63), 0.1, 1e16, "{% 1 + 1 %}", "{%%}", "😀ü", [{}], {"a": {"b": [0]}},
    {"{% k %}": "{% $v %}"}, "a", ["a", "b"], {"": 0},
)  # fmt: skip
"""What two languages are most likely to see differently."""

WORDS: Final = (
    "", "a", "{% 1 + 1 %}", "it's", '"', "\\", "\n", "ü😀", "a b", "7", "$x", "null", "{%", "%}", "x.$", "-0", "2.0",
)  # fmt: skip

FAILURES: Final[tuple[tuple[Any, ...], ...]] = (
    (ValueError, "not {% this %}"), (KeyError, "zz"), (ConnectionResetError, "reset"), (OwnError, "own"),
    (OwnMissing, "own, missing"), (IndexError, "far"), (FileNotFoundError, 2, "no file"), (ZeroDivisionError,),
    (nf.Fail, "Custom", "as told"), (nf.Fail, "Bare"), (UnicodeDecodeError, "utf-8", b"\xff", 0, 1, "bad"),
)  # fmt: skip
"""Classes and their arguments."""


def square(n: int) -> int:
    """A helper that is no task."""
    return n * n


def raising(text: str) -> str:
    """A helper that always fails."""
    raise OwnError(text)


@nf.task
def fails_as(error: str) -> None:
    raise nf.Fail(error, "as told")


@nf.task
def as_int(value: Any) -> int:
    """True is an int, too."""
    assert isinstance(value, int)
    return value


@nf.task
def twice(n: int) -> int:
    return n * 2


@nf.task(name="twice")
def aliased(n: int) -> int:
    """Another task of the same name."""
    return n * 3


@nf.task
def clamp(n: int, low: int = 0, *, high: int = 10) -> int:
    return max(low, min(n, high))


@nf.task
def near(n: int) -> int:
    """An integer that a double holds, or just does not."""
    return 2**53 + n % 3


@nf.task
def size(value):  # type: ignore[no-untyped-def]
    return len(str(value))


@nf.task
def half(x: float) -> float:
    return x / 2


@nf.task
def whole(x: float) -> float:
    """A float that may be an int, as its annotation allows."""
    return int(x) if abs(x) < 2**60 else x


@nf.task
def is_even(n: int) -> bool:
    return n % 2 == 0


@nf.task(name="is-empty")
def is_empty(value):  # type: ignore[no-untyped-def]
    return not value


@nf.task
def word(n: int) -> str:
    """A string that may look like an expression."""
    return WORDS[n % len(WORDS)]


@nf.task
def label(text: str, number: int = 0, **more: Any) -> str:
    return f"{text}:{number}:{sorted(more.items())}"


@nf.task
def numbers(n: int) -> list[int]:
    """As many numbers as ``n % 4`` says: none, often."""
    return [n % 5 - i for i in range(n % 4)]


@nf.task
def words(n: int) -> list[str]:
    return [WORDS[(n + i) % len(WORDS)] for i in range(n % 3)]


@nf.task
def matrix(n: int) -> list[list[int]]:
    return [[i + j for j in range(i)] for i in range(n % 4)]


@nf.task
def count(text: str) -> dict[str, int]:
    return dict(Counter(text))


@nf.task
def find(n: int) -> int | None:
    return None if n % 3 == 0 else n


@nf.task
def pair(n: int) -> tuple[int, str]:
    return n, word.function(n)


@nf.task
def triple(n: int) -> tuple[int, list[int], None]:
    return n, numbers.function(n), None


@nf.task
def echo(value):  # type: ignore[no-untyped-def]
    return value


@nf.task
def both(a, b=None):  # type: ignore[no-untyped-def]
    return [a, b]


@nf.task
def mixed(n):  # type: ignore[no-untyped-def]
    return MIXED[n % len(MIXED)]


@nf.task
def risky(n: int) -> int:
    """Raises by a table, if ``n`` is odd."""
    if n % 2:
        kind, *arguments = FAILURES[n // 2 % len(FAILURES)]
        raise kind(*arguments)
    return n


@nf.task(retry=nf.Retry(LookupError, max_attempts=2))
def stubborn(n: int) -> int:
    """Asks to be tried again, in vain; and other failures of it are not tried again."""
    return risky.function(n)


_failed: Counter[int] = Counter()


@nf.task(retry=[nf.Retry("TimeoutError"), nf.Retry(ConnectionError, OwnError, max_attempts=9, interval=2)])
def flaky(n: int) -> int:
    """Fails up to three times before it succeeds."""
    if _failed[n] < n % 4:
        _failed[n] += 1
        raise ConnectionResetError(f"attempt {_failed[n]}")
    del _failed[n]
    return n


@contextmanager
def fresh() -> Iterator[None]:
    """For one run: ``flaky`` has not failed yet."""
    _failed.clear()
    yield
    _failed.clear()
