"""The children of Map Runs that were there before: another process, or an earlier attempt, has begun them."""

import json
from typing import Final

from nbflow.engine import rebuilding
from nbflow.engine.live import Live
from nbflow.engine.map_run import Known
from nbflow.language.paths import compact
from nbflow.language.values import Chance
from nbflow.store.port import Store
from nbflow.store.rows import ExecutionRow, MapRunRow

_ENDED_BADLY: Final = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})


def rebuilt(store: Store, row: ExecutionRow, parent: Live, chance: Chance) -> Live:
    """A child as its journal has left it; what does its parent's tasks does its own. Raises StoreError."""
    has_activity = parent.machine.has_activity
    return rebuilding.rebuilt(store, row, chance, has_activity, parent.codes, parent.directory, parent.script)


def known(store: Store, run: MapRunRow) -> dict[int, Known]:
    """The STANDARD children that a run has already, by their numbers. Raises StoreError.

    Each redrive takes those up once that had not succeeded when it began: which, it writes down first."""
    children = store.children_of(run.arn)
    again: dict[str, int] = {}
    if run.redrive_count:
        text = store.map_part(run.arn, "again", run.redrive_count)
        if text is None:
            unsuccessful = {
                str(child.item): child.redrive_count for child in children if child.status in _ENDED_BADLY
            }
            text = compact(unsuccessful)
            store.put_map_part(run.arn, "again", run.redrive_count, text)
        again = json.loads(text)
    return {
        child.item: Known(
            child.status,
            again=child.status in _ENDED_BADLY and again.get(str(child.item), -1) == child.redrive_count,
        )
        for child in children
    }
