"""What does the tasks of the samples. A file of its own: the servers and the workers are given it as it is.

Each writes a line into a file that is only appended to, so that what was done twice can be counted.
"""

import os
import time
from pathlib import Path
from typing import Any


def _note(file: str, given: dict[str, Any], last: str = "") -> None:
    line = "\t".join([given["execution"], given["attempt"], last or str(time.time())]) + "\n"
    with (Path(given["folder"]) / file).open("ab", buffering=0) as notes:
        notes.write(line.encode())  # at once, and whole


def square(given: dict[str, Any]) -> int:
    _note("done", given)
    time.sleep(given.get("seconds", 0.05))
    number: int = given["item"]
    return number * number


def flaky(given: dict[str, Any]) -> int:
    """Fails the first time."""
    _note("done", given)
    if given["retry"] == 0:
        raise ConnectionError("the first time")
    number: int = given["item"]
    return number + 1


def total(given: dict[str, Any]) -> int:
    _note("done", given)
    return sum(given["numbers"])


def ask(given: dict[str, Any]) -> None:
    """Hands its token on to whoever is to answer."""
    _note("done", given)
    _note("tokens", given, given["token"])


def broken(given: dict[str, Any]) -> None:
    _note("done", given)
    raise ValueError("always")


def mended(given: dict[str, Any]) -> str:
    """Fails until its execution has been redriven."""
    _note("done", given)
    if given["redrives"] == 0:
        raise RuntimeError("to be redriven")
    return "mended"


def double(given: dict[str, Any]) -> int:
    """An activity's."""
    _note("done", given)
    time.sleep(0.1)
    number: int = given["item"]
    return 2 * number


def mark(given: dict[str, Any]) -> int:
    """An item of a Map: a line in a file of the process that does it."""
    line = f"{given['number']}\t{given['retry']}\t{time.time()}\n"
    with (Path(given["folder"]) / f"did-{os.getpid()}").open("ab", buffering=0) as done:
        done.write(line.encode())
    time.sleep(given["seconds"])
    number: int = given["number"]
    return number
