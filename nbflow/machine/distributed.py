"""The Distributed Map: its items become executions of their own, under a Map Run (AWS guide, "Distributed mode").

The machine only plans the run: whatever of it depends on the state's input is evaluated when the Map is entered, and
recorded. To read the items, to start a child for each and to count how they end is work in the world, like a task's;
the run has the id of its MapRunStarted event, and is answered like an attempt.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeGuard

from nbflow.language import model
from nbflow.language.paths import read
from nbflow.language.payload import fill
from nbflow.language.values import ABSENT, Chance, Failure, Json, Scope
from nbflow.machine import flow, orders, records
from nbflow.machine.context import LIMITS, MAP_RUN
from nbflow.machine.run import Frame, Run
from nbflow.machine.turn import Turn

_NONE: Final[Mapping[str, Json]] = {}


def is_distributed(state: model.AnyState) -> TypeGuard[model.Map]:
    """Whether the state's iterations are executions of their own."""
    return isinstance(state, model.Map) and state.item_processor.processor_config.mode == "DISTRIBUTED"


def has_map_run(scope: model.Branch) -> bool:
    """Whether a state in it, or below, is a Distributed Map."""
    for state in scope.states.values():
        inner: Sequence[model.Branch] = ()
        if isinstance(state, model.Map | model.Parallel):
            inner = [state.item_processor] if isinstance(state, model.Map) else state.branches
        if is_distributed(state) or any(has_map_run(branch) for branch in inner):
            return True
    return False


class Item(NamedTuple):
    """One item, and where it comes from (AWS guide, "Context object": Map.Item)."""

    value: Json
    source: str = "STATE_DATA"
    """The address of what it was read from; this one, if it stands in the state's input."""
    key: str | None = None
    """Its name, if it is a member of an object."""

    @property
    def given(self) -> Json:
        """What its child is given without an ItemSelector: of a member of an object, the pair."""
        return self.value if self.key is None else {"Key": self.key, "Value": self.value}


def items_in(items: Json) -> Iterator[Item]:
    """The items that stand in the state's input: the elements of an array, or the members of an object."""
    if isinstance(items, dict):
        return (Item(value, key=key) for key, value in items.items())
    return map(Item, items or ())


def is_reference(items: Json) -> TypeGuard[dict[str, Json]]:
    """Whether the items are those of a value that lies elsewhere, such as the rows of a DataFrame."""
    return (
        isinstance(items, dict)
        and isinstance(items.get("nbflow"), str)
        and isinstance(items.get("sha256"), str)
    )


def _length(items: Json) -> int:
    if not is_reference(items):
        return len(items)
    rows = items.get("rows")
    return rows if isinstance(rows, int) else 0  # nobody knows yet


def enter(turn: Turn, frame: Frame, state: model.Map, items: Json) -> Failure | None:
    """Plan the Map Run, and order it.

    ``items``: an array, an object, or the reference of a value; empty, if an ItemReader brings them.
    """
    turn.emit(records.MapStarted(turn.now, frame.id, _length(items)))
    numbers: dict[str, int | float | None] = {}
    for name in ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"):
        number = flow.number(turn, frame, state, name)
        if isinstance(number, Failure):
            return number
        numbers[name] = number
    parts: list[Json] = []
    for plan in (_reader, _batcher, _writer):
        part = plan(turn, frame, state)
        if isinstance(part, Failure):
            return part
        parts.append(part)
    origin: records.Origin = "input" if items is frame.data else "value"
    turn.emit(
        records.MapRunStarted(
            turn.now,
            frame.id,
            _arn(turn, frame, state),
            int(numbers["MaxConcurrency"] or 0),
            None if numbers["ToleratedFailureCount"] is None else int(numbers["ToleratedFailureCount"]),
            numbers["ToleratedFailurePercentage"],
            None if origin == "input" or state.item_reader is not None else items,
            origin if state.item_reader is None else "value",
            *parts,
        )
    )
    return None


def _arn(turn: Turn, frame: Frame, state: model.Map) -> str:
    """``arn:aws:states:REGION:ACCOUNT:mapRun:MACHINE/LABEL:RUN``; a state without a Label is told by its name."""
    machine = turn.run.context.get("StateMachine", {}).get("Id", "arn:aws:states:::stateMachine:machine")
    label = state.label or "".join(c if c.isalnum() or c in "-_" else "-" for c in frame.state)[:40]
    bits = f"{turn.chance.getrandbits(128):032x}"
    run = "-".join((bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:]))
    return f"{machine.replace(':stateMachine:', ':mapRun:', 1)}/{label}:{run}"


def _reader(turn: Turn, frame: Frame, state: model.Map) -> Json | Failure:
    """``{"Resource", "Parameters", "ReaderConfig"}``, evaluated; null if there is no ItemReader."""
    reader = state.item_reader
    if reader is None:
        return None
    config = dict(reader.reader_config or {})
    most = flow.computed(
        turn, frame, state, "MaxItems", config.get("MaxItems"), config.pop("MaxItemsPath", None)
    )
    if isinstance(most, Failure):
        return most
    if most is not None:
        config["MaxItems"] = most
    given = _given(turn, frame, state, reader, "ItemReader")
    if isinstance(given, Failure):
        return given
    return {"Resource": reader.resource, "Parameters": given, "ReaderConfig": config}


def _writer(turn: Turn, frame: Frame, state: model.Map) -> Json | Failure:
    """``{"Resource", "Parameters", "WriterConfig"}``, evaluated; null if there is no ResultWriter."""
    writer = state.result_writer
    if writer is None:
        return None
    given = _given(turn, frame, state, writer, "ResultWriter")
    if isinstance(given, Failure):
        return given
    return {"Resource": writer.resource, "Parameters": given, "WriterConfig": writer.writer_config}


def _given(
    turn: Turn, frame: Frame, state: model.Map, part: model.ItemReader | model.ResultWriter, field: str
) -> Json | Failure:
    """Parameters, or Arguments in JSONata."""
    template = part.arguments if state.jsonata else part.parameters
    if template is ABSENT:
        return None
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    name = f"{field}/{'Arguments' if state.jsonata else 'Parameters'}"
    return fill(template, turn.scope(frame, data), jsonata=state.jsonata, field=name)


def _batcher(turn: Turn, frame: Frame, state: model.Map) -> Json | Failure:
    """``{"MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput"}``, evaluated; null if there is no ItemBatcher."""
    batcher = state.item_batcher
    if batcher is None:
        return None
    plan: dict[str, Json] = {}
    for name, value, path in (
        ("MaxItemsPerBatch", batcher.max_items_per_batch, batcher.max_items_per_batch_path),
        (
            "MaxInputBytesPerBatch",
            batcher.max_input_bytes_per_batch,
            batcher.max_input_bytes_per_batch_path,
        ),
    ):
        number = flow.computed(turn, frame, state, name, value, path)
        if isinstance(number, Failure):
            return number
        plan[name] = number
    if batcher.batch_input is not ABSENT:
        data = flow.effective_input(turn, frame, state)
        if isinstance(data, Failure):
            return data
        filled = fill(
            batcher.batch_input,
            turn.scope(frame, data),
            jsonata=state.jsonata,
            field="ItemBatcher/BatchInput",
        )
        if isinstance(filled, Failure):
            return filled
        plan["BatchInput"] = filled
    return plan


EXCEEDED: Final = (
    "States.ExceedToleratedFailureThreshold",
    "The specified tolerated failure threshold was exceeded",
)
"""Error and cause of a run in which more items failed than is tolerated."""


def exceeds(failed: int, total: int | None, count: int | None, percentage: float | None) -> bool:
    """Whether so many failed items are too many (AWS guide, "Setting failure thresholds for Distributed Map").

    The smaller threshold counts where both are given, and none is tolerated where neither is. ``total``: of how many
    items; None if that is not known yet, so that a percentage says nothing.
    """
    if not failed:
        return False
    thresholds = [] if count is None else [count]
    if percentage is not None:
        # Exactly: in floats, 18.4 % of 375 would be 68.
        thresholds.append(failed if total is None else int(Fraction(str(percentage)) * total / 100))
    return failed > min(thresholds, default=0)


class Child(NamedTuple):
    """How a child is named."""

    name: str
    arn: str
    machine_arn: str
    """``…:stateMachine:MACHINE/LABEL``"""


def child(map_run: str, index: int, *, express: bool) -> Child:
    """The child of this number. The run's ARN and the number decide: a run that is told again has the same children."""
    start, prefix, machine_arn = _naming(map_run, express)
    hashed = start.copy()
    hashed.update(b"%d" % index)
    name = _uuid5(hashed.hexdigest())
    return Child(name, prefix + name, machine_arn)


@lru_cache(16)
def _naming(map_run: str, express: bool) -> tuple[Any, str, str]:
    """What is the same for all children of a run: the begin of what is hashed, that of an ARN, the machine's ARN."""
    map_state = map_run.rpartition(":")[0]
    start = hashlib.sha1(uuid.NAMESPACE_URL.bytes + f"{map_run}#".encode(), usedforsecurity=False)
    prefix = map_state.replace(":mapRun:", ":express:" if express else ":execution:", 1)
    return start, f"{prefix}:", map_state.replace(":mapRun:", ":stateMachine:", 1)


def _uuid5(sha1: str) -> str:
    """The text of uuid.uuid5 (RFC 9562, 5.5) of this hash, for the millions, in a third of the time."""
    variant = "89ab"[int(sha1[16], 16) & 3]
    return f"{sha1[:8]}-{sha1[8:12]}-5{sha1[13:16]}-{variant}{sha1[17:20]}-{sha1[20:32]}"


def constants(parent: Run, map_run: str, *, express: bool) -> dict[str, Json]:
    """The members of the children's context object that do not change, but for those of the one (:func:`named`)."""
    machine_arn = child(map_run, 0, express=express).machine_arn
    return {
        "Execution": parent.context.get("Execution", {}),
        "StateMachine": {"Id": machine_arn, "Name": machine_arn.rpartition(":")[2]},
        "Express": express,
        MAP_RUN: map_run,
        **({LIMITS: parent.context[LIMITS]} if LIMITS in parent.context else {}),
    }


def named(context: Mapping[str, Json], arn: str) -> dict[str, Json]:
    """Those members of the child that has this ARN."""
    return {**context, "Execution": {**context["Execution"], "Id": arn, "Name": arn.rpartition(":")[2]}}


def select(order: orders.RunMap, index: int, item: Item, now: float, chance: Chance) -> Json | Failure:
    """What the child of this item is given: the item, or what ItemSelector makes of it."""
    state = order.state
    if state.item_selector is ABSENT:
        return item.given
    about: dict[str, Json] = {"Index": index, "Value": item.value, "Source": item.source}
    if item.key is not None:
        about["Key"] = item.key
    context = {**order.context, "Map": {"Item": about}}
    scope = Scope(order.input, lambda: context, order.variables, now, chance, _NONE)
    if not state.jsonata and state.input_path != "$":
        data = {} if state.input_path is None else read(state.input_path, scope)
        if isinstance(data, Failure):
            return data
        scope = Scope(data, lambda: context, order.variables, now, chance, _NONE)
    return fill(state.item_selector, scope, jsonata=state.jsonata, field="ItemSelector")
