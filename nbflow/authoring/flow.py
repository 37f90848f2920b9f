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
from nbflow.authoring.source import FlowError, Source, read
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
    """By NAME: what a result has to be, because the definition relies on it: "number", "string", "boolean", "array",
    "array[2]" (one of two values) or "dataframe"."""
    signature: inspect.Signature
    """The flow's parameters: the members of an execution's input."""


def compile_flow(function: Callable[..., Any], *, name: str | None = None) -> FlowCode:
    """Compile a function, with its globals as they are now; ``name`` is the flow's, by default the function's.

    Raises FlowError, which points at the place in its source, for what a flow cannot be.
    """
    try:
        return _compiled(function, name or function.__name__)
    except FlowError as error:
        raise error.with_traceback(
            None
        ) from None  # it is about the flow: where in the compiler, helps nobody


def _compiled(function: Callable[..., Any], name: str) -> FlowCode:
    source = read(function)
    signature = _signature(function, source)
    machine = _machine(function, source, signature)
    scope = Scope(machine, {})
    for each in [*signature.parameters, *sorted(machine.locals - {*signature.parameters})]:
        scope.names[each] = variable(each, machine.variables.__contains__)
        machine.variables.add(scope.names[each])
    binding = _bind(scope, name, signature)
    block(scope, source.tree.body)
    if not scope.dead:
        leave(scope, "return None", Template(None, Kind("null")))
    _check(scope, binding, signature)
    catches.close_rules(machine)
    scope.close()
    catches.complete(scope.states, machine.errors)
    comment = inspect.getdoc(function)
    definition = {**({"Comment": comment} if comment else {}), "QueryLanguage": "JSONata", **scope.definition}
    promised = {each.name: each.kind for each in machine.promises if each.who == "task"}
    checks = {each: promised[each] for each in machine.tasks if each in promised}
    return FlowCode(definition, machine.tasks, checks, signature)


def _machine(function: Callable[..., Any], source: Source, signature: inspect.Signature) -> Machine:
    namespace = Namespace(function)
    locals = frozenset({*signature.parameters, *assigned(source.tree.body)})
    identifiers = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)} | locals
    calling = look_over(source, namespace, locals)
    return Machine(function, source, namespace, locals, form, calling, identifiers)


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
    """The first state: the parameters become variables. (Without parameters there is none.)"""
    state: State = {"Type": "Pass", "Assign": {}}
    if not signature.parameters:
        return state
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


_TESTS: Final = {"dataframe": "$exists({0}.rows) and $exists({0}.columns)"}
"""Where it is not its JSON type that tells what a value is: a DataFrame is a reference with these members."""
_WORDS: Final = {
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "dataframe": "a DataFrame",
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
