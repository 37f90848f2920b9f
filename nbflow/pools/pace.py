"""How many jobs travel together, and how many are sent ahead: a decision without side effects."""

from typing import Final

TARGET: Final = 0.1
"""Seconds of work that a chunk of short jobs is made to hold."""

MOST_JOBS: Final = 1_000
"""Jobs in a chunk: beyond this, the round trip's share is small, and the outcomes of a chunk arrive together."""

AHEAD: Final = 0.5
"""Seconds of work that is sent ahead for each of the cluster's threads."""


DEMAND: Final = 10.0
"""Seconds of work for each thread that an adaptive cluster must see, to grow: by default it starts workers until the
work is done in five (``distributed.adaptive.target-duration``)."""

MOST_DEMAND: Final = 1_000
"""Jobs that are sent for each thread to show the demand."""


def chunk_sizes(
    waiting: int, under_way: int, seconds: float | None, width: int, ahead: float = AHEAD
) -> list[int]:
    """How many jobs of one code go into each of the chunks that are sent now.

    ``waiting`` and ``under_way`` count its jobs, ``seconds`` is how long one takes (None: not known yet), ``width`` is
    the number of the cluster's threads, ``ahead`` how many seconds of work each is given. Two jobs a thread are always
    sent.
    """
    if seconds is None:
        return [1] * min(waiting, max(0, 2 * width - under_way))
    seconds = max(seconds, 1e-6)
    size = max(1, min(MOST_JOBS, -(-waiting // width), int(TARGET / seconds)))
    demand = min(int(ahead * width / seconds), MOST_DEMAND * width)
    room = max(2 * width, int(AHEAD * width / seconds), demand) - under_way
    sizes: list[int] = []
    while waiting and room >= (size := min(size, waiting)):
        sizes.append(size)
        waiting -= size
        room -= size
    return sizes
