"""Exceptions: ``except`` becomes Catch, on every state of the try's body that can fail, and ``nf.Retry`` becomes Retry.

The worker reports an exception by the first of its classes that a Retry or Catch of the state, or of a Map or Parallel
around it, lists. So that ``except OSError`` means what it means in Python, a member that lists OSError has to list
each of its subclasses that is listed elsewhere: :func:`complete` adds them.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard

from nbflow.authoring.kinds import Kind
from nbflow.authoring.states import Handler, Machine, Scope, State
from nbflow.authoring.task import Notebook, Retry, Task
from nbflow.authoring.typed import hole, quoted
from nbflow.errors import Fail, NbflowError
from nbflow.language.values import Json

_ALL: Final = ["States.ALL"]
_FAILURE: Final = Kind("failure")


def error_name(kind: type[BaseException]) -> str:
    """How a worker names an exception class."""
    return f"nbflow.{kind.__name__}" if issubclass(kind, NbflowError) else kind.__name__


def catches_all(classes: Iterable[type[BaseException]]) -> bool:
    return any(kind in (Exception, BaseException) for kind in classes)


def handler(scope: Scope, node: ast.ExceptHandler) -> Handler:
    """An except clause. Raises FlowError if it does not name exception classes."""
    for each in _types(node):
        scope.check(each)
    classes = _classes(scope, node)
    for each, kind in classes:
        if not _is_exception(kind):
            raise scope.machine.source.error(
                each,
                "an except clause names exception classes: the Catch lists them when the flow is defined",
            )
    raises = any(_raises_again(statement, node.name) for statement in node.body)
    variable = node.name or (scope.machine.identifier("error") if raises else None)
    nested = (each for part in node.body for each in ast.walk(part) if isinstance(each, ast.ExceptHandler))
    within = [kind for each in nested for _, kind in _classes(scope, each) if _is_exception(kind)]
    known = tuple(kind for _, kind in classes) or (BaseException,)
    return Handler(node, known, variable, raises, tuple(within), [], [])


def _types(node: ast.ExceptHandler) -> list[ast.expr]:
    return node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []


def _classes(scope: Scope, node: ast.ExceptHandler) -> list[tuple[ast.expr, Any]]:
    """What an except clause names, each with its place."""
    found: list[tuple[ast.expr, Any]] = []
    for each in _types(node):
        meaning = scope.meaning(each)
        found += [(each, kind) for kind in (meaning if isinstance(meaning, tuple) else (meaning,))]
    return found


def _raises_again(statement: ast.stmt, name: str | None) -> bool:
    return any(isinstance(node, ast.Raise) and is_again(node, name) for node in ast.walk(statement))


def is_again(node: ast.Raise, name: str | None) -> bool:
    """``raise``, or ``raise e`` of what is being handled."""
    return node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id == name)


# --- Catch


def catch(scope: Scope, state: State) -> None:
    """Give a state that may fail the Catch members of the try statements around it."""
    members: list[State] = []
    taken: list[type[BaseException]] = []
    around = [each for level in reversed(scope.tries) for each in level]
    for index, each in enumerate(around):
        classes = [kind for kind in each.classes if not issubclass(kind, tuple(taken))]
        if not classes:
            continue
        taken += classes
        # What is raised again has to be known by the name that the handler lists which takes it then.
        later = [*each.within, *(kind for other in around[index + 1 :] for kind in other.classes)]
        later = [kind for kind in later if each.raises and not catches_all([kind])]
        if catches_all(classes):
            specific = _names(scope.machine, later)
            members += [_member(scope, each, names) for names in (specific, _ALL) if names]
            break
        again = [kind for kind in later if issubclass(kind, tuple(classes))]
        members.append(_member(scope, each, _names(scope.machine, [*classes, *again])))
    if members:
        state["Catch"] = members


def _member(scope: Scope, each: Handler, names: list[str]) -> State:
    member: State = {"ErrorEquals": list(names)}
    enter(scope, each, member, "{% $states.errorOutput %}")
    return member


def enter(scope: Scope, each: Handler, holder: State, error: Json, key: str = "Next") -> None:
    """Make ``holder``, a member of Catch or Choices or a state, lead to a handler."""
    if each.variable:
        holder["Assign"] = {hole(each.variable): error}
    each.exits.append((holder, key))
    each.kinds.append(dict(scope.kinds))


def _names(machine: Machine, classes: Iterable[type[BaseException]]) -> list[str]:
    names = []
    for kind in classes:
        names.append(error_name(kind))
        machine.errors[names[-1]] = kind
        if kind is TimeoutError:
            names.append("States.Timeout")
    return list(dict.fromkeys(names))


def begin(scope: Scope, each: Handler) -> None:
    """Go on at the beginning of a handler."""
    scope.exits = []
    scope.merge([(each.exits, kinds) for kinds in each.kinds])
    scope.exits = each.exits
    if each.variable:
        scope.kinds[each.variable] = _FAILURE


# --- raise


def again(scope: Scope, node: ast.Raise, each: Handler) -> None:
    """``raise`` within a handler: to the outer handler that knows the error, else the flow fails with it."""
    assert each.variable is not None
    text, error = scope.machine.source.text(node), f"{{% {hole(each.variable)} %}}"
    choice: State = {"Type": "Choice", "Choices": []}
    certain = None
    for other in (other for level in reversed(scope.tries) for other in level):
        if catches_all(other.classes) or all(issubclass(kind, other.classes) for kind in each.classes):
            certain = other
            break
        rule: State = {"Condition": each.variable}
        enter(scope, other, rule, error)
        choice["Choices"].append(rule)
        scope.machine.open_rules.append((rule, other.classes))
        _names(
            scope.machine, other.classes
        )  # so that the classes of two families are known before the rule is written
    if choice["Choices"]:
        scope.add(scope.machine.state_name(text), choice)
        if certain is not None:
            enter(scope, certain, choice, error, "Default")
            return
        scope.exits = [(choice, "Default")]
    if certain is not None:
        step: State = {"Type": "Pass"}
        scope.add(scope.machine.state_name(text), step)
        enter(scope, certain, step, error)
        return
    fail: State = {"Type": "Fail", "Error": f"{{% $parse({hole(each.variable)}.Cause).errorType %}}"}
    if catches_all(each.classes) or TimeoutError in each.classes:
        scope.machine.open_fails.append((fail, each.variable))
    fail["Cause"] = f"{{% {hole(each.variable)}.Cause %}}"
    scope.add(scope.machine.state_name(text), fail)


def close_rules(machine: Machine) -> None:
    """Write the expressions of what raises again: now all names are known by which errors are reported.

    An error that was reported by the name of a base class has its own in the cause that the worker wrote.
    """
    listed = [*machine.errors.values()]
    for kind in machine.namespace.globals.values():
        if _is_exception(kind) and _is_joint(kind, listed):
            machine.errors.setdefault(error_name(kind), kind)
    for rule, classes in machine.open_rules:
        names = [name for name, kind in machine.errors.items() if issubclass(kind, classes)]
        texts = ", ".join(map(quoted, dict.fromkeys([*_names(machine, classes), *names])))
        rule["Condition"] = f"{{% {hole(rule['Condition'])}.Error in [{texts}] %}}"
    texts = ", ".join(map(quoted, machine.errors))
    for state, variable in machine.open_fails:
        error = f"{hole(variable)}.Error"
        its_own = f"$parse({hole(variable)}.Cause).errorType"
        state["Error"] = (
            f"{{% {error} in [{texts}] ? {its_own} : {error} %}}" if texts else f"{{% {error} %}}"
        )


def taker(scope: Scope, kind: type[BaseException]) -> Handler | None:
    """The handler that an exception raised here goes to, if there is one."""
    handlers = (each for level in reversed(scope.tries) for each in level)
    return next((each for each in handlers if issubclass(kind, each.classes)), None)


def caught_fail(scope: Scope, node: ast.Raise, each: Handler, failed: Fail) -> None:
    """``raise nf.Fail(…)`` of literals, where a handler takes it: a jump, with the error as a worker reports it."""
    cause = f'{{"errorMessage": {quoted(str(failed))}, "errorType": {quoted(failed.error)}}}'
    state: State = {"Type": "Pass"}
    scope.add(scope.machine.state_name(scope.machine.source.text(node)), state)
    [name] = _names(scope.machine, [Fail])
    enter(scope, each, state, {"Error": name, "Cause": cause})


# --- Retry


def retry(machine: Machine, task: Task[..., Any] | Notebook) -> list[State]:
    """The Retry field of a task's states."""
    return [_retrier(machine, each) for each in task.retry]


def _retrier(machine: Machine, each: Retry) -> State:
    kinds = [_class(machine, error) if isinstance(error, str) else error for error in each.errors]
    everything = not each.errors or "States.ALL" in each.errors or catches_all(kind for kind in kinds if kind)
    names = [name for kind in kinds if kind and not everything for name in _names(machine, [kind])]
    unknown = [error for error, kind in zip(each.errors, kinds, strict=True) if not kind]
    member: State = {
        "ErrorEquals": list(_ALL) if everything else list(dict.fromkeys([*names, *unknown])),
        "IntervalSeconds": each.interval,
        "MaxAttempts": each.max_attempts,
        "BackoffRate": each.backoff,
    }
    if each.max_delay is not None:
        member["MaxDelaySeconds"] = each.max_delay
    if each.jitter:
        member["JitterStrategy"] = "FULL"
    return member


def _class(machine: Machine, name: str) -> type[BaseException] | None:
    """The exception class that a name most likely means."""
    found = getattr(builtins, name, machine.namespace.value(name))
    return found if _is_exception(found) else None


# --- subclasses


def complete(
    states: dict[str, State], errors: Mapping[str, type[BaseException]], around: frozenset[str] = frozenset()
) -> None:
    """Add to each member of Retry and Catch the subclasses that may be reported in place of those it lists.

    That is each class that the state, one around it or one within it lists, unless an earlier member has taken it; and
    each class of the flow's module that has two bases which the flow lists: it may be raised again, and taken by the
    clause of the other.
    """
    joints = {name for name, kind in errors.items() if _is_joint(kind, list(errors.values()))}
    for state in states.values() if errors else ():
        own = frozenset(_listed(state))
        near = around | own | frozenset(name for inner in _within(state) for name in _all_listed(inner))
        may_come = [name for name, kind in errors.items() if name in near or name in joints]
        for field in ("Retry", "Catch"):
            taken: set[str] = set()
            members = state.get(field, [])
            for member in members:
                known = tuple(errors[name] for name in member["ErrorEquals"] if name in errors)
                below = [name for name in may_come if issubclass(errors[name], known)]
                names = dict.fromkeys([*member["ErrorEquals"], *below])
                member["ErrorEquals"] = [name for name in names if name not in taken]
                taken.update(names)
            members[:] = [member for member in members if member["ErrorEquals"]]
        for inner in _within(state):
            complete(inner, errors, around | own)


def _is_joint(kind: type[BaseException], listed: list[type[BaseException]]) -> bool:
    """Whether a class has bases in the list of which none is the other's: Python asks for each of them in turn."""
    bases = [each for each in listed if issubclass(kind, each)]
    return any(not issubclass(one, other) and not issubclass(other, one) for one in bases for other in bases)


def _is_exception(value: object) -> TypeGuard[type[BaseException]]:
    return isinstance(value, type) and issubclass(value, BaseException)


def _within(state: State) -> list[dict[str, State]]:
    scopes = [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else ())]
    return [scope["States"] for scope in scopes]


def _listed(state: State) -> Iterator[str]:
    for field in ("Retry", "Catch"):
        for member in state.get(field, ()):
            yield from member["ErrorEquals"]


def _all_listed(states: dict[str, State]) -> Iterator[str]:
    for state in states.values():
        yield from _listed(state)
        for inner in _within(state):
            yield from _all_listed(inner)
