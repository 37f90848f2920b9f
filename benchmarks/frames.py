"""DataFrames: an ETL over files against hand-written Dask, and a large frame that the kernel is not to see."""

import os
import shutil
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil

from benchmarks.places import Memory, processes

FILES: Final = 40
ROWS: Final = 150_000
"""Of a file; more, where that is less than so much work:"""
WORK: Final = 0.5
"""Seconds."""

LARGE: Final = int(os.environ.get("NBFLOW_FRAME", "1000000000"))
"""Bytes of the large frame."""

Say = Callable[[str, str, float, tuple[str, float]], None]
Timed = Callable[..., list[float]]


# --- ETL


def lay_out(folder: Path, files: int = FILES, rows: int = ROWS) -> list[str]:
    """So many files of orders."""
    chance = np.random.default_rng(1)
    paths = []
    for number in range(files):
        frame = pd.DataFrame(
            {
                "at": pd.Timestamp("2024-01-01")
                + pd.to_timedelta(chance.integers(0, 86_400 * 30, rows), unit="s"),
                "customer": chance.integers(0, 20_000, rows),
                "region": chance.choice(["north", "south", "east", "west"], rows),
                "pieces": chance.integers(-1, 20, rows),
                "price": chance.random(rows).round(4) * 100,
            }
        )
        paths.append(str(folder / f"orders-{number:02}.csv"))
        frame.to_csv(paths[-1], index=False)
    return paths


def clean(path: str) -> pd.DataFrame:
    """Read a file, drop what is wrong, and add it up by customer and hour."""
    orders = pd.read_csv(path, parse_dates=["at"])
    orders = orders[orders["pieces"] > 0].drop_duplicates()
    orders["total"] = orders["pieces"] * orders["price"]
    orders["label"] = orders["region"].str.upper() + "-" + orders["customer"].astype(str).str.zfill(6)
    orders["hour"] = orders["at"].dt.floor("h")
    orders = orders.sort_values(["label", "at"])
    orders["so_far"] = orders.groupby("label")["total"].cumsum()
    return orders.reset_index(drop=True)


def total(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All of it by region and hour."""
    sums = [part.groupby(["region", "hour"], as_index=False)["total"].sum() for part in parts]
    return pd.concat(sums).groupby(["region", "hour"], as_index=False)["total"].sum()


def clean_and_store(path: str, out: str) -> pd.DataFrame:
    """By hand: a part is stored, and stays where it was made."""
    part = clean(path)
    part.to_parquet(Path(out) / (Path(path).stem + ".parquet"))
    return part


def total_and_store(parts: list[pd.DataFrame], out: str) -> pd.DataFrame:
    table = total(parts)
    table.to_parquet(Path(out) / "total.parquet")
    return table


def measure_etl(say: Say, in_turn: Timed, files: int = FILES, rows: int = ROWS, rounds: int = 3) -> None:
    """Time on a warm cluster, in turns; memory on workers that are fresh for each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        [sample] = in_turn(3, partial(clean, *lay_out(folder, 1, rows)))
        paths = lay_out(folder, files, int(rows * max(1.0, 1.1 * WORK / sample)))
        [work] = in_turn(3, lambda: clean(paths[0]))
        with _both(folder, paths) as (ours, by_hand, _):
            ours(), by_hand()
            mine, least = in_turn(rounds, ours, by_hand)
        peaks: list[list[int]] = [[], []]
        for _ in range(2):
            for which, found in enumerate(peaks):
                with _both(folder, paths) as (*works, workers), Memory(workers) as memory:
                    works[which]()
                found.append(memory.peak)
    figure = f"{mine / least:.3f}× ({mine:.2f} s : {least:.2f} s)"
    what = f"ETL of {files} files, {work:.2f} s of work each : by hand"
    say(what, figure, mine / least, ("<=", 1.05))
    held, hold = map(statistics.median, peaks)
    figure = f"{held / hold:.2f}× ({held / 1e6:.0f} MB : {hold / 1e6:.0f} MB)"
    say("its memory, of client and workers : by hand", figure, held / hold, ("<=", 1.15))


@contextmanager
def _both(
    folder: Path, paths: list[str]
) -> Iterator[tuple[Callable[[], object], Callable[[], object], dict[str, psutil.Process]]]:
    """The ETL by nbflow, and by hand, on workers of their own; and the processes that hold data."""
    from distributed import Client

    import nbflow as nf

    read, add = nf.task(clean), nf.task(on="dask")(total)

    @nf.flow
    def etl(paths: list[str]) -> Any:
        parts = [read(path) for path in paths]
        return add(parts)

    with processes() as (address, members), Client(address) as client:
        nf.connect(f"sqlite:///{folder}/nbflow.sqlite")
        client.run(_warm)

        def ours() -> None:
            assert len(etl.run(paths=paths)) > 0
            _forget(folder)

        def by_hand() -> None:
            out = tempfile.mkdtemp(dir=folder)
            parts = client.map(clean_and_store, paths, out=out, pure=False)
            assert len(client.submit(total_and_store, parts, out, pure=False).result()) > 0
            shutil.rmtree(out)

        holding = {name: each for name, each in members.items() if "worker" in name}
        try:
            yield ours, by_hand, {"client": psutil.Process(), **holding}
        finally:
            nf.disconnect()


def _warm() -> None:
    """On a worker: what both need is imported."""
    for name in ("nbflow.pools.chunk", "pyarrow.parquet"):
        import_module(name)


def _forget(folder: Path) -> None:
    """The parts of one round, so that the disk does not fill up."""
    from nbflow.client.connection import artifacts_beside

    shutil.rmtree(artifacts_beside(f"sqlite:///{folder}/nbflow.sqlite"), ignore_errors=True)


# --- one large frame


def make(bytes: int) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(1).random((bytes // 64, 8)), columns=list("abcdefgh"))


def scaled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame * 2


def shifted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame + 1


def mean(frame: pd.DataFrame) -> float:
    return float(frame["a"].mean())


def measure_large(say: Say, bytes: int = LARGE) -> None:
    """Four tasks on workers, one after the other: what does this process read, write, and hold?"""
    from distributed import Client

    import nbflow as nf

    first, second, third, last = map(nf.task(on="dask"), (make, scaled, shifted, mean))

    @nf.flow
    def through(bytes: int) -> Any:
        frame = first(bytes)
        doubled = second(frame)
        moved = third(doubled)
        return last(moved)

    with tempfile.TemporaryDirectory() as folder, processes() as (address, members), Client(address):
        nf.connect(f"sqlite:///{folder}/nbflow.sqlite")
        through.run(bytes=64_000)
        tcp, files, before = by_tcp(), by_files(), psutil.Process().memory_info().rss
        begun = time.perf_counter()
        with Memory({"client": psutil.Process(), "scheduler": members["scheduler"]}) as memory:
            assert 1.9 < through.run(bytes=bytes) < 2.1
        seconds = time.perf_counter() - begun
        tcp, files = by_tcp() - tcp, by_files() - files
        nf.disconnect()
    size = f"{bytes / 1e9:g} GB"
    figure = f"{tcp / 1e3:.0f} kB in {seconds:.0f} s"
    say(f"{size} through four tasks: bytes by the kernel's sockets", figure, tcp, ("<=", 1_000_000))
    # With what it reads of its own store while it waits: some pages, several times a second.
    figure = f"{files / 1e3:.0f} kB, {files / seconds / 1e3:.0f} kB a second"
    say(f"{size} through four tasks: bytes by the kernel's files", figure, files, ("<=", 1_000_000))
    more = (memory.peaks["client"] - before) / 1e6
    say(f"{size} through four tasks: the kernel's memory grows", f"{more:.0f} MB", more, ("<=", 50))


_TCP_INFO: Final = 11
_ACKED, _RECEIVED = 120, 128
"""Linux's ``struct tcp_info``: where the two counters are, of 8 bytes each."""


def by_files() -> int:
    """Bytes that this process has read from files and pipes, and written to them, so far."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["rchar"]) + int(counted["wchar"])


def by_tcp() -> int:
    """Bytes that have come and gone by the TCP connections of this process that are open."""
    return sum(map(_by_tcp, os.listdir("/proc/self/fd")))


def _by_tcp(descriptor: str) -> int:
    with suppress(OSError):  # closed meanwhile, or no socket of that kind
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
            return 0
        with socket.socket(fileno=os.dup(int(descriptor))) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 192)
            return sum(struct.unpack_from("=QQ", info, _ACKED))
    return 0
