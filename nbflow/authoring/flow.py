"""``compile_flow``: a Python function becomes a state machine."""

import ast
import inspect
import json
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nbflow.authoring import catches
from nbflow.authoring.forms import form
from nbflow.authoring.kinds import Kind, join, of_annotation, of_value
from nbflow.authoring.names import Namespace, assigned, member, variable
from nbflow.authoring.source import Source, read
from nbflow.authoring.statements import block
from nbflow.authoring.states import Machine, Scope, State
from nbflow.authoring.survey import look_over
from nbflow.authoring.task import Notebook, Task
from nbflow.authoring.typed import Template, hole, quoted
from nbflow.authoring.values import leave
from nbflow.language.values import Json


@dataclass(frozen=True, slots=True)
class FlowCode:
    """A compiled flow: a definition, and what its names mean."""

    definition: dict[str, Json]
    """The ASL; valid on AWS."""
    tasks: dict[str, Task[..., Any] | Notebook]
    """By the NAME at the end of the definition's Lambda ARNs; the pieces of the flow's own text are among them."""
    checks: dict[str, str]
    """By NAME: what a result has to be, because the definition relies on it: "number", "string", "boolean", "object",
    "array", or "array[2]" for one of two values."""
    signature: inspect.Signature
    """The flow's parameters: the members of an execution's input."""


def compile_flow(function: Callable[..., Any], *, name: str | None = None) -> FlowCode:
    """Compile a function, with its globals as they are now; ``name`` is the flow's, by default the function's.

    Raises FlowError, which points at the place in its source, for what a flow cannot be.
    """
    source = read(function)
    signature = _signature(function, source)
    namespace = Namespace(function)
    locals = [*signature.parameters, *sorted(assigned(source.tree.body) - set(signature.parameters))]
    machine = Machine(
        function, source, namespace, frozenset(locals), form, look_over(source, namespace, frozenset(locals))
    )
    machine.identifiers = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)} | {
        *locals
    }
    scope = Scope(machine, {})
    for each in locals:
        scope.names[each] = variable(each, machine.variables.__contains__)
        machine.variables.add(scope.names[each])
    if signature.parameters:
        binding = _bind(scope, name or function.__name__, signature)
    block(scope, source.tree.body)
    if not scope.dead:
        leave(scope, "return None", Template(None, Kind("null")))
    if signature.parameters:
        _check(scope, binding, signature)
    catches.close_rules(machine)
    scope.close()
    catches.complete(machine, scope.states)
    definition: dict[str, Json] = {"QueryLanguage": "JSONata"}
    if comment := inspect.getdoc(function):
        definition = {"Comment": comment, **definition}
    checks = {each.name: each.kind for each in machine.promises if each.who == "task"}
    return FlowCode({**definition, **scope.definition}, machine.tasks, checks, signature)


# --- parameters


def _signature(function: Callable[..., Any], source: Source) -> inspect.Signature:
    if isinstance(source.tree, ast.AsyncFunctionDef):
        raise source.error(
            source.tree, "a flow is a plain def: its steps run in the background without async"
        )
    arguments = source.tree.args
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            raise source.error(
                extra, "a flow's input is an object with members that are known: name each parameter"
            )
    return inspect.signature(function)


def _bind(scope: Scope, name: str, signature: inspect.Signature) -> State:
    """The first state: the parameters become variables."""
    state: State = {"Type": "Pass", "Assign": {}}
    scope.add(scope.machine.state_name(f"{name}({', '.join(signature.parameters)})"), state)
    scope.exits = [(state, "Next")]
    for each, parameter in signature.parameters.items():
        kind = of_annotation(parameter.annotation, scope.machine.function.__globals__).promised(
            "parameter", each
        )
        if parameter.default is not inspect.Parameter.empty:
            kind = join(kind, of_value(parameter.default))
        scope.kinds[each] = kind
    return state


def _check(scope: Scope, state: State, signature: inspect.Signature) -> None:
    """Fill in the first state, now that it is known which annotations the definition relies on."""
    kinds = {each.name: each.kind for each in scope.machine.promises if each.who == "parameter"}
    for name, parameter in signature.parameters.items():
        value = given = f"$states.input{member(name)}"
        if name in kinds:
            kind, _, size = kinds[name].rstrip("]").partition("[")
            test = _TESTS.get(kind, '$type({0}) = "{1}"').format(given, kind)
            test += f" and $count({given}) = {size}" if size else ""
            value = f"{test} ? {given} : $error({quoted(f'{name} must be {_WORDS[kind]}')})"
        if parameter.default is not inspect.Parameter.empty:
            value = f"({value})" if name in kinds else value
            value = f"$exists({given}) ? {value} : {_default(scope, name, parameter.default)}"
        state["Assign"][hole(name)] = f"{{% {value} %}}"


_TESTS: Final = {"object": "$exists({0}.rows) and $exists({0}.columns)"}
"""Where it is not its JSON type that tells what a value is: a DataFrame is a reference with these members."""
_WORDS: Final = {
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a DataFrame",
}


def _default(scope: Scope, name: str, value: object) -> str:
    """A parameter's default in JSONata. Raises FlowError if it is no plain data."""
    plain = _plain(value)
    if plain is None:
        node = next(
            each for each in ast.walk(scope.machine.source.tree.args) if getattr(each, "arg", "") == name
        )
        raise scope.machine.source.error(
            node,
            f"the default of {name} is written into the definition: it is plain data, not {reprlib.repr(value)}",
        )
    simple = isinstance(value, str | bool | None) or (type(value) is int and abs(value) < 2**53)
    return plain if simple else f"$parse({quoted(plain)})"


def _plain(value: object) -> str | None:
    """The value as JSON text, if that gives it back as it is."""
    try:
        text = json.dumps(value, allow_nan=False)
        return text if repr(json.loads(text)) == repr(value) else None
    except (TypeError, ValueError):
        return None
