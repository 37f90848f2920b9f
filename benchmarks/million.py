"""A million EXPRESS items: does it finish, and does the memory of client, scheduler and workers stay flat?

Each number of items has a cluster and a client of its own, so that the peaks of one do not hide those of another.

    python -m benchmarks.million COUNT ADDRESS      is such a client; it prints how long it took
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.fanout import EXPRESS, noop, over
from benchmarks.places import Memory, processes

MOST: Final = int(os.environ.get("NBFLOW_MILLION", "1000000"))
FLAT: Final = 1.1
"""How much more ten times the items may hold at the peak."""

QUIET: Final = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "100",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__LOG_LENGTH": "100",
}
"""Dask's own records of its last hour, which grow for so long, whatever is done."""

Say = Callable[[str, str, float, tuple[str, float]], None]


def measure(say: Say, most: int = MOST) -> None:
    """Run a tenth, and the whole; compare the peaks."""
    _, tenth = _run(most // 10)
    seconds, whole = _run(most)
    each = seconds / most * 1e6
    say(f"{most:,} EXPRESS items finish", f"{seconds:.0f} s, {each:.0f} µs each", each, ("<=", float("inf")))
    for name, peak in whole.items():
        ratio = peak / tenth[name]
        figure = f"{ratio:.2f}× ({peak / 1e6:.0f} MB : {tenth[name] / 1e6:.0f} MB)"
        say(f"memory of the {name}, {most:,} items : {most // 10:,}", figure, ratio, ("<=", FLAT))


def _run(count: int) -> tuple[float, dict[str, int]]:
    """The seconds that it took, and the peak of each process in bytes."""
    with processes(QUIET) as (address, members):
        command = [sys.executable, "-m", "benchmarks.million", str(count), address]
        client = subprocess.Popen(command, stdout=subprocess.PIPE)
        with Memory({"client": psutil.Process(client.pid), **members}, every=0.2) as memory:
            assert client.stdout is not None
            told = client.stdout.readline()
        client.communicate()
        if client.returncode:
            raise RuntimeError(f"{count:,} items did not finish")
        return float(told), memory.peaks


def run(count: int, address: str, folder: Path) -> float:
    """The seconds that so many items take: read from a file, written to files."""
    import nbflow as nf

    with (folder / "items.jsonl").open("w") as file:
        file.writelines(f'{{"number":{number}}}\n' for number in range(count))
    more: dict[str, Any] = {
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Parameters": {"Uri": str(folder / "items.jsonl")},
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Uri": str(folder / "results")},
            "WriterConfig": {"OutputType": "JSONL", "Transformation": "COMPACT"},
        },
    }
    nf.connect(f"sqlite:///{folder}/nbflow.sqlite", dask=address)
    machine = nf.StateMachine(over("noop", EXPRESS, **more), name="million", tasks={"noop": noop})
    begun = time.perf_counter()
    written = machine.run({})
    seconds = time.perf_counter() - begun
    lines = 0
    for results in Path(written["ResultWriterDetails"]["Uri"]).parent.glob("SUCCEEDED_*"):
        with results.open("rb") as rows:
            lines += sum(1 for _ in rows)
    assert lines == count, f"{lines:,} results of {count:,} items"
    nf.disconnect()
    return seconds


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(run(int(sys.argv[1]), sys.argv[2], Path(scratch)), flush=True)
