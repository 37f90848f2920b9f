"""What ``nf.map`` is told beside its task: its options, a source of items, and where the results go."""

import ast
import inspect
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from nbflow.authoring import sources
from nbflow.authoring.names import MISSING
from nbflow.authoring.states import Scope, State
from nbflow.authoring.typed import as_text, fold
from nbflow.authoring.values import materialise
from nbflow.errors import NbflowError
from nbflow.language.values import Json


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a Map; a comprehension has none."""

    distributed: bool | None = None
    """None: it is not said."""
    express: bool = False
    batch: int | None = None
    write_to: ast.expr | None = None
    fields: State = field(default_factory=dict)
    """Those of the Map state that have their values already."""

    @property
    def processor(self) -> State:
        """The fields of the ItemProcessor beside its states."""
        if not self.distributed:
            return {"ProcessorConfig": {"Mode": "INLINE"}}
        kind = "EXPRESS" if self.express else "STANDARD"
        return {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}}


def options(scope: Scope, node: ast.Call) -> Options:
    """Those that a call of ``nf.map`` has. Raises FlowError."""
    source = scope.machine.source
    given: dict[str, Any] = {}
    write_to: ast.expr | None = None
    for each in node.keywords:
        if each.arg == "write_to":
            write_to = None if fold(each.value, scope) is None else each.value
            continue
        value = fold(each.value, scope)
        if each.arg not in _OPTIONS:
            raise source.error(each, f"nf.map has the options {', '.join((*_OPTIONS, 'write_to'))}")
        if not _OPTIONS[each.arg](value):
            raise source.error(
                each.value, f"nf.map({each.arg}=…) takes {_OPTION_WORDS[each.arg]}, written as such"
            )
        given[each.arg] = value
    word = source_word(scope, node.args[1])
    distributed = given.get("distributed")
    if word is not None:
        if distributed is False:
            raise source.error(
                node,
                f"what nf.{word.__name__} reads is mapped over by child executions: leave out distributed=False",
            )
        distributed = True
    if not distributed:
        given["write_to"] = write_to
        for name, why in _DISTRIBUTED_ONLY.items():
            if given.get(name):
                raise source.error(node, f"nf.map({name}=…) is for distributed=True: {why}")
    fields: State = {}
    if given.get("concurrency") is not None:
        fields["MaxConcurrency"] = given["concurrency"]
    tolerate = given.get("tolerate")
    if isinstance(tolerate, float):
        fields["ToleratedFailurePercentage"] = round(tolerate * 100, 9)
    elif tolerate is not None:
        fields["ToleratedFailureCount"] = tolerate
    if given.get("batch") is not None:
        fields["ItemBatcher"] = {"MaxItemsPerBatch": given["batch"]}
    return Options(distributed, given.get("express", False), given.get("batch"), write_to, fields)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _is_whole(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 1)


_OPTIONS: Final = {
    "concurrency": _is_whole,
    "distributed": lambda value: type(value) is bool,
    "express": lambda value: type(value) is bool,
    "tolerate": lambda value: _is_count(value) or (type(value) is float and 0 <= value <= 1),
    "batch": _is_whole,
}
_OPTION_WORDS: Final = {
    "concurrency": "a whole number of at least 1",
    "distributed": "True or False",
    "express": "True or False",
    "tolerate": "a number of items, or a share between 0.0 and 1.0",
    "batch": "a whole number of at least 1",
}
_DISTRIBUTED_ONLY: Final = {
    "express": "child executions that are express",
    "batch": "child executions that get several items each",
    "write_to": "the results of child executions, written to files",
}


# --- sources


def source_word(scope: Scope, node: ast.expr) -> Any:
    """``nf.csv`` or its like, if the expression is a call of it; else None."""
    meaning = scope.meaning(node.func) if isinstance(node, ast.Call) else None
    return next((word for word in sources.WORDS if meaning is word), None)


def reader(scope: Scope, call: ast.Call) -> sources.Source:
    """The source that a call of ``nf.csv`` or its like is, with templates in it. Raises FlowError."""
    word, error = source_word(scope, call), scope.machine.source.error
    given: dict[str, Any] = {}
    for name, node in _bound(scope, call, word).items():
        given[name] = _literal(scope, word, name, node) if name in _LITERALS else _template(scope, node)
    # Where it is an expression, it cannot be checked here.
    most = {"MaxItems": given.pop("limit")} if isinstance(given.get("limit"), str) else {}
    try:
        source: sources.Source = word(**given)
    except NbflowError as wrong:
        raise error(call, str(wrong)) from None
    return sources.Source(source.resource, source.parameters, {**source.config, **most}, source.member)


_LITERALS: Final = ("header", "delimiter", "pointer")
"""Parameters whose values are no templates in a definition."""


def _bound(scope: Scope, call: ast.Call, word: Any) -> dict[str, ast.expr]:
    error = scope.machine.source.error
    keywords = {each.arg: each.value for each in call.keywords if each.arg is not None}
    if len(keywords) < len(call.keywords) or any(isinstance(each, ast.Starred) for each in call.args):
        raise error(call, "a state names its arguments: write each of them instead of * or **")
    try:
        return dict(inspect.signature(word).bind(*call.args, **keywords).arguments)
    except TypeError as wrong:
        raise error(call, f"nf.{word.__name__}: {wrong}") from None


def _literal(scope: Scope, word: Any, name: str, node: ast.expr) -> Json:
    value = fold(node, scope)
    if isinstance(node, ast.List | ast.Tuple):
        value = [fold(each, scope) for each in node.elts]
        value = MISSING if MISSING in value else value
    elif value is MISSING and type(found := scope.meaning(node)) in (list, tuple):
        value = [*found]
    if value is MISSING:
        raise scope.machine.source.error(
            node, f"nf.{word.__name__}({name}=…) is written as such, or a global"
        )
    return value


def _template(scope: Scope, node: ast.expr) -> Json:
    """A text or number as it is written, or as an expression of the flow."""
    value = fold(node, scope)
    if value is MISSING and isinstance(found := scope.meaning(node), PurePath):
        value = str(found)
    if isinstance(value, str):
        return as_text(value)
    return materialise(scope, node).value if value is MISSING else value


# --- results


def writer(scope: Scope, node: ast.expr, *, flat: bool) -> State:
    """The ResultWriter for ``write_to=``: a place, or ``nf.parquet(place)`` and its like. Raises FlowError."""
    error = scope.machine.source.error
    word = source_word(scope, node)
    if word is None:
        value = _template(scope, node)
        if not isinstance(value, str):
            raise error(node, f"nf.map(write_to=…) takes {_PLACES}")
        found = sources.jsonl(value)
    elif isinstance(node, ast.Call) and word in (sources.jsonl, sources.json, sources.parquet):
        found = reader(scope, node)
        if found.config.keys() != {"InputType"}:
            raise error(node, f"where results go, nf.{word.__name__} takes the place only")
    else:
        raise error(
            node, f"nf.map(write_to=…) takes {_PLACES}; results are not written by nf.{word.__name__}"
        )
    place = {"Prefix" if name == "Key" else name: value for name, value in found.parameters.items()}
    return {
        "Resource": "arn:aws:states:::s3:putObject",
        "WriterConfig": {
            "Transformation": "FLATTEN" if flat else "COMPACT",
            "OutputType": found.config["InputType"],
        },
        "Arguments": place,
    }


_PLACES: Final = (
    "a folder or URL (for JSON Lines), or nf.parquet('results'), nf.jsonl('results') or nf.json('results')"
)
