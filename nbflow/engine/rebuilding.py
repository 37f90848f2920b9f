"""From the store to the memory: an execution as its journal has left it."""

import json
from collections.abc import Mapping
from functools import lru_cache

from nbflow.engine.live import Live, Script
from nbflow.engine.rows import code_of
from nbflow.language import model
from nbflow.language.validate import parse
from nbflow.language.values import Chance
from nbflow.machine import Machine
from nbflow.machine.records import Record, decode
from nbflow.machine.turn import HasActivity
from nbflow.store.port import Store
from nbflow.store.rows import ExecutionRow
from nbflow.tasks.job import Code


def rebuilt(
    store: Store,
    row: ExecutionRow,
    chance: Chance,
    has_activity: HasActivity,
    codes: Mapping[str, Code],
    directory: str,
    script: Script | None = None,
) -> Live:
    """The execution, with what does its tasks. Raises StoreError."""
    definition = _parsed(store.definition(row.definition))
    steps = recorded_steps(store, row.arn)
    machine = Machine.rebuilt(definition, chance, steps, has_activity)
    return Live(row, machine, codes, directory, script=script, step=len(steps))


def recorded_steps(store: Store, arn: str) -> list[list[Record]]:
    """The records of each step of an execution. Raises StoreError."""
    return [decode(step.records, step.format) for step in store.journal(arn)]


@lru_cache(128)
def _parsed(definition: str) -> model.StateMachine:
    return parse(definition)


def recorded_codes(store: Store, row: ExecutionRow) -> dict[str, Code]:
    """What does its tasks, as recorded, by the resource; what is not recorded, is missing. Raises StoreError."""
    bound = json.loads(row.bindings or "{}")
    contents = store.codes({each["sha256"] for each in bound.values()}) if bound else {}
    nested = {name: Code("nested", name, "", b"") for name, each in bound.items() if each["kind"] == "nested"}
    return nested | {
        name: code_of(each, contents[each["sha256"]])
        for name, each in bound.items()
        if each["sha256"] in contents
    }
