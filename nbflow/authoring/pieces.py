"""A piece of the flow's text as a Task state: :mod:`nbflow.authoring.inline` makes the function, this binds it."""

import ast
from typing import Final

from nbflow.authoring import inline
from nbflow.authoring.states import ARN, Scope, State
from nbflow.authoring.task import Task
from nbflow.authoring.typed import hole

_MORE_THAN_JSON = ("tuple", "failure")
"""The kinds of variables of which an inline task has to make something first."""


def piece(scope: Scope, reads: list[ast.expr], body: list[ast.stmt], text: str) -> State:
    """A Task state that runs ``body``; its arguments are the variables that the expressions ``reads`` read.

    Raises FlowError for a variable that may not be set, and for what cannot be asked of a failure.
    """
    machine = scope.machine
    parameters = list(dict.fromkeys(each for node in reads for each in scope.check(node)))
    kinds = {each: scope.kinds[each].name for each in parameters}
    _check_failures(scope, reads, {each for each, kind in kinds.items() if kind == "failure"})
    label = inline.slug(text)
    function = inline.function(
        label,
        parameters,
        body,
        flow=machine.function,
        filename=machine.source.filename,
        namespace=machine.namespace,
        given={each: kind for each, kind in kinds.items() if kind in _MORE_THAN_JSON},
    )
    name = machine.bind(Task(function, label), label)
    arguments = {each: f"{{% {hole(each)} %}}" for each in parameters}
    return {"Type": "Task", "Resource": ARN + name, "Arguments": arguments}


_REPR: Final = (ord("r"), ord("a"))
"""``{e!r}`` and ``{e!a}`` in an f-string."""


def _check_failures(scope: Scope, reads: list[ast.expr], failures: set[str]) -> None:
    """What ``except … as e`` catches is known by its error and message; the exception itself is gone."""
    for each in (each for node in reads for each in ast.walk(node)) if failures else ():
        wrong: ast.expr | None = None
        match each:
            case ast.Attribute(ast.Name(name), attribute):
                wrong = each if name in failures and attribute not in ("error", "cause") else None
            case ast.Call(function, [ast.Name(name), *_]) if name in failures:
                wrong = each if scope.meaning(function) in (isinstance, type, repr, ascii) else None
            case ast.FormattedValue(ast.Name(name), conversion) if name in failures:
                wrong = each.value if conversion in _REPR else None
            case ast.List(items) | ast.Tuple(items) | ast.Dict(_, items):
                wrong = next(
                    (item for item in items if isinstance(item, ast.Name) and item.id in failures), None
                )
        if each is reads[0] and isinstance(each, ast.Name) and each.id in failures:
            wrong = each
        if wrong is not None:
            raise scope.machine.source.error(
                wrong,
                "of the exception, its error and its message are kept: write str(e), e.error or e.cause, and an "
                "except clause for each class that is to be told apart",
            )
