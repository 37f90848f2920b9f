"""Many items: Maps against ``client.map``, written as one would without a state machine, in one interleaved run."""

import json
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from benchmarks.places import WORKERS, cluster, store

TASK: Final = "arn:aws:lambda:us-east-1:000000000000:function:"
CHUNK: Final = 100
ASKED: Final = 1.5
"""Of ``client.map`` in chunks: what EXPRESS items may take; inline ones, 60 µs more."""
SLOW: Final = 0.5

Say = Callable[[str, str, float, tuple[str, float]], None]
Timed = Callable[..., list[float]]


def noop(item: Any) -> Any:
    return item


def noops(items: list[Any]) -> list[Any]:
    return [noop(item) for item in items]


def slow(item: int) -> int:
    time.sleep(SLOW)
    return item


def over(task: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The definition of a Map of one task over its input, or over what the ItemReader in ``more`` reads."""
    one = {"Type": "Task", "Resource": f"{TASK}{task}", "End": True}
    processor = {"ProcessorConfig": config, "StartAt": "T", "States": {"T": one}}
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True, **more}}}


INLINE: Final = {"Mode": "INLINE"}
EXPRESS: Final = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}


def measure(say: Say, in_turn: Timed, count: int = 10_000, slow_ones: int = 40, rounds: int = 5) -> None:
    """No-op items, EXPRESS and inline, and tasks of half a second."""
    import nbflow as nf

    items = list(range(count))
    with cluster() as client, store():
        express = nf.StateMachine(over("noop", EXPRESS), name="express", tasks={"noop": noop})
        inline = nf.StateMachine(over("noop", INLINE), name="inline", tasks={"noop": noop})
        long = nf.StateMachine(over("slow", INLINE), name="slow", tasks={"slow": slow})

        def chunked() -> None:
            parts = [items[at : at + CHUNK] for at in range(0, count, CHUNK)]
            gathered = client.gather(client.map(noops, parts, pure=False))
            assert list(chain.from_iterable(gathered)) == items

        def default() -> None:
            assert client.gather(client.map(noop, items, pure=False)) == items

        def by_hand() -> None:
            assert client.gather(client.map(slow, items[:slow_ones], pure=False)) == items[:slow_ones]

        works: list[Callable[[], object]] = [
            lambda: _check(express.run(items), items),
            lambda: _check(inline.run(items), items),
            chunked,
            default,
            lambda: _check(long.run(items[:slow_ones]), items[:slow_ones]),
            by_hand,
        ]
        for warm_up in works[:3]:
            warm_up()
        mine, inlined, parts, peer, slowly, hand = in_turn(rounds, *works)
    what = f"{count:,} EXPRESS no-ops"
    figure = f"{peer / mine:.1f}× ({peer:.2f} s : {mine:.2f} s)"
    say(f"client.map by default : {what}", figure, peer / mine, (">=", 15))
    figure = f"{mine / parts:.2f}× ({mine:.2f} s : {parts:.2f} s)"
    say(f"{what} : client.map in chunks of {CHUNK}", figure, mine / parts, ("<=", ASKED))
    more = (inlined - ASKED * parts) / count * 1e6
    figure = (
        f"{more:.0f} µs ({inlined:.2f} s; {(inlined - mine) / count * 1e6:.0f} µs more than an EXPRESS one)"
    )
    say(f"an inline item on Dask, beyond {ASKED}× client.map in chunks", figure, more, ("<=", 60))
    figure = f"{slowly / hand:.3f}× ({slowly:.2f} s : {hand:.2f} s)"
    what = f"{slow_ones} tasks of {SLOW} s on {WORKERS} workers : client.map"
    say(what, figure, slowly / hand, ("<=", 1.05))


def _check(found: Any, wanted: Any) -> None:
    assert found == wanted


def measure_in_process(say: Say, in_turn: Timed, count: int = 100_000, rounds: int = 3) -> None:
    """A durable Map without Dask: every item's task, result and state is in the journal when it ends.

    The engine's own cost is measured with a pool that answers at once; threads cost more, at each change of thread.
    """
    import nbflow as nf
    from benchmarks.durable import Bench
    from nbflow.language.validate import parse
    from nbflow.store.sql import open_store

    small: list[Any] = list(range(count))
    large: list[Any] = ["x" * 1000] * (count // 10)
    definition, texts = parse(over("f", INLINE)), [json.dumps(small), json.dumps(large)]
    with store() as folder:
        durable = open_store(f"sqlite:///{folder}/engine.sqlite")
        bench = Bench(durable, folder)
        here = nf.task(on="local")(noop)
        machine = nf.StateMachine(over("noop", INLINE), name="here", tasks={"noop": here})
        passing = over("noop", INLINE)
        passing["States"]["M"]["ItemProcessor"]["States"]["T"] = {"Type": "Pass", "End": True}
        bare = nf.StateMachine(passing, name="bare")
        machine.run([{"item": each} for each in small[:1000]])
        seconds = in_turn(
            rounds,
            lambda: bench.run(definition, input=texts[0]),
            lambda: bench.run(definition, input=texts[1]),
            lambda: _check(machine.run([{"item": each} for each in small]), small),
            lambda: _check(bare.run(small), small),
        )
        bench.engine.close()
        durable.close()
    each, kilobyte = seconds[0] / count * 1e6, seconds[1] / len(large) * 1e6
    say(f"{count:,} items of a durable Map in this process, each", f"{each:.0f} µs", each, ("<=", 60))
    threads, passed = seconds[2] / count * 1e6, seconds[3] / count * 1e6
    figure = f"{kilobyte:.0f} µs (reported only)"
    say("the same with payloads of 1 kB", figure, kilobyte, ("<=", float("inf")))
    figure = f"{threads:.0f} µs (reported only)"
    say("the same, each item done on a thread", figure, threads, ("<=", float("inf")))
    say("the same with a Pass state in place of the task", f"{passed:.0f} µs", passed, ("<=", 60))
