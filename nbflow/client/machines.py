"""``nf.StateMachine``: a definition bound to Python functions."""

import json
import multiprocessing
import os
import reprlib
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from nbflow.artifacts.values import pack
from nbflow.authoring.task import Notebook, Task
from nbflow.client.connection import Connection, current
from nbflow.client.executions import Execution
from nbflow.client.presentation import presenter
from nbflow.client.redriving import remember
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.integrations import integration, is_invocation
from nbflow.language.sites import did_you_mean
from nbflow.language.validate import parse, resources
from nbflow.language.values import Json
from nbflow.service.arns import check_name, machine_arn
from nbflow.store.port import digest
from nbflow.tasks import function, notebook
from nbflow.tasks.job import Code

Bound: TypeAlias = Callable[..., Any] | Task[..., Any] | Notebook
"""What a Task state can be bound to.

A bare callable gets the state's input as its one argument; an ``nf.task`` gets its members as keywords; a notebook
gets them as parameters.
"""

LAMBDA: Final = "arn:aws:lambda:"


class BindingError(NbflowError):
    """The definition and ``tasks`` do not fit together: the message lists every mismatch."""


class StateMachine:
    """A state machine: an ASL definition, and the functions that its Task states name.

    ``definition``: a dict, JSON or YAML text, or the path of a file with either. ``tasks``: what the names at the
    end of the definition's Lambda ARNs mean, such as ``{"clean": clean}`` for ``arn:aws:lambda:…:function:clean``.
    ``checks``: by the same names, what results have to be, since the definition relies on it: "number", "string",
    "boolean", "array", "array[2]" (of two) or "dataframe"; any other result is the task's failure.
    ``name``: by default the file's name, else "machine".

    Raises DefinitionError with all the definition's mistakes, BindingError with all that ``tasks`` lacks, ApiError
    InvalidName, or NbflowError for a file that cannot be read.
    """

    def __init__(
        self,
        definition: Mapping[str, Json] | str | Path,
        *,
        name: str | None = None,
        tasks: Mapping[str, Bound] | None = None,
        checks: Mapping[str, str] | None = None,
    ) -> None:
        self._text, source = read_definition(definition)
        self._model = parse(self._text)
        self.tasks: Mapping[str, Bound] = dict(tasks or {})
        """What the names at the end of its Lambda ARNs mean."""
        self.checks: Mapping[str, str] = dict(checks or {})
        _check_bindings(resources(self._model), self.tasks)
        self.name = check_name(name or ("machine" if source is None else source.name.split(".")[0]))
        remember(self.sha256, self)

    @property
    def sha256(self) -> str:
        """The digest of its definition's text."""
        return digest(self._text)

    @property
    def definition(self) -> dict[str, Json]:
        """The ASL, as a dict; valid on AWS."""
        loaded: dict[str, Json] = json.loads(self._text)
        return loaded

    def start(
        self, input: object = None, /, *, execution_name: str | None = None, **parameters: object
    ) -> Execution:
        """Begin an execution and return at once, as soon as it is durable.

        ``input`` is any value; what JSON cannot hold (a DataFrame) travels by reference. ``parameters`` are the members
        of an object as input, instead of ``input``; with neither, the input is ``{}``. Raises ApiError, NotJson or
        NotPortable if it cannot begin.
        """
        end_importing_worker()
        if parameters and input is not None:
            raise TypeError("give the input as one value or as keywords, not both")
        connection = current()
        connection.context = copy_context()
        codes = self.codes()
        value, artifacts = pack(parameters if input is None else input, connection.shelf, name="input")
        arn = self.publish(connection, codes)
        answer = connection.service.start_execution(
            arn,
            json.dumps(value, ensure_ascii=False),
            execution_name,
            tasks=codes,
            artifacts=artifacts,
            directory=os.getcwd(),
        )
        execution = Execution(answer["executionArn"], connection)
        presenter().started(execution)
        return execution

    def run(
        self, input: object = None, /, *, execution_name: str | None = None, **parameters: object
    ) -> object:
        """``start(…).result()``: the execution's result, with references loaded."""
        return self.start(input, execution_name=execution_name, **parameters).result()

    def draw(self) -> str:
        """The states in lines of text, for a terminal."""
        from nbflow.drawing.text import draw

        return draw(self._model)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints of it."""
        printer.text(f"{self!r}\n{self.draw()}")

    def _repr_html_(self) -> str:
        """What a notebook shows of it: the graph of its states."""
        from nbflow.drawing.html import static_html
        from nbflow.drawing.svg import svg

        return static_html(svg(self._model), (), self.name)

    def register(self) -> str:
        """Make it known, as it is now: to the store under its name, and with its functions to this process.

        Then tasks of other machines (``states:startExecution``), and boto3, can start it. Returns its ARN.
        """
        return self.publish(current(), self.codes())

    def codes(self, tasks: Mapping[str, Bound] | None = None) -> dict[str, Code]:
        """The code of its tasks as it is now, by the resource that names it. ``tasks`` come before its own."""
        return pinned(self._model, {**self.tasks, **(tasks or {})}, self.checks)

    def publish(self, connection: Connection, codes: Mapping[str, Code]) -> str:
        """Make the store's machine of this name be this one, with this code of its tasks. Returns its ARN."""
        functions = {_name(named): code for named, code in codes.items()}
        arn, service = machine_arn(self.name), connection.service
        present = connection.store.machine(arn)
        if present is None or present.status == "DELETING":
            service.create_state_machine(self.name, self._text)
        elif present.definition != self.sha256:
            service.update_state_machine(arn, self._text)
        service.desk.own_functions[arn] = functions
        return arn

    def __repr__(self) -> str:
        states = len(self._model.states)
        return f"<nbflow state machine {self.name}: {states} states, starts at {self._model.start_at!r}>"


def end_importing_worker() -> None:
    """End this process if it is a worker that starts an execution while it imports the user's script.

    A spawned process imports the main script before it works. One that starts executions at its top level would start
    a cluster within the cluster, without end. There is nobody to catch an exception, so the explanation is printed.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        script = getattr(sys.modules.get("__mp_main__"), "__file__", "the script")
        raise SystemExit(
            f"nbflow: a Dask worker cannot begin, because {script} starts an execution when it is imported.\n"
            f'Put what starts it under\n    if __name__ == "__main__":\nin {script}.'
        )


def task_names(definition: Path) -> set[str]:
    """The names that a definition's Lambda ARNs end with. Raises NbflowError if the file is no valid definition."""
    text, _ = read_definition(definition)
    return missing_in(parse(text), {})


def _name(resource: str) -> str:
    """``arn:aws:lambda:us-east-1:000000000000:function:NAME`` (a version or alias may follow) → NAME."""
    parts = resource.split(":")
    return parts[6] if len(parts) > 6 else resource


def pinned(
    definition: model.StateMachine, tasks: Mapping[str, Bound], checks: Mapping[str, str]
) -> dict[str, Code]:
    """The code of the tasks that are given, as it is now, by the resource that names it in the definition."""
    all_resources = set(resources(definition).values())
    named = {resource: _name(resource) for resource in all_resources if resource.startswith(LAMBDA)}
    if any(map(is_invocation, all_resources)):  # functions are invoked by a name that is computed, perhaps
        named |= {name: name for name in tasks}
    codes = {
        name: pin(name, tasks[name], checks.get(name, ""))
        for name in sorted(set(named.values()))
        if name in tasks
    }
    return {resource: codes[name] for resource, name in named.items() if name in codes}


def missing_in(definition: model.StateMachine, tasks: Mapping[str, Bound]) -> set[str]:
    """The names of the definition's Lambda functions that ``tasks`` has not."""
    lambdas = {resource for resource in resources(definition).values() if resource.startswith(LAMBDA)}
    return {_name(resource) for resource in lambdas} - tasks.keys()


def pin(name: str, bound: Bound, returns: str = "") -> Code:
    """The code of a task as it is now. Raises NotPortable for what workers cannot be sent."""
    if isinstance(bound, Notebook):
        return replace(notebook.pin(bound.path, name), **bound.placing)
    if isinstance(bound, Task):
        pinned = function.pin(bound.function, name, keywords=True)
        return replace(pinned, returns=returns, **bound.placing)
    return function.pin(bound, name, keywords=False)


def _check_bindings(named: Mapping[str, str], tasks: Mapping[str, Bound]) -> None:
    problems = [
        problem for pointer, resource in named.items() if (problem := _unbound(pointer, resource, tasks))
    ]
    used = {_name(resource) for resource in named.values()}
    invoked = any(
        is_invocation(resource) for resource in named.values()
    )  # by a name that is computed, perhaps
    for name, bound in tasks.items():
        if name not in used and not invoked:
            problems.append(f"tasks[{name!r}] is not named by any Task state")
        if isinstance(bound, Task) and bound.activity:
            problems.append(
                f"tasks[{name!r}] is done by an activity: the state's Resource is {bound.activity}"
            )
        if not callable(bound) and not isinstance(bound, Notebook):
            problems.append(f"tasks[{name!r}] is {reprlib.repr(bound)}, which cannot be called")
    if problems:
        raise BindingError("\n".join(["the definition and tasks= do not fit:", *problems]))


def _unbound(pointer: str, resource: str, tasks: Mapping[str, Bound]) -> str | None:
    """What is wrong with the state's Resource, if anything."""
    integrated = integration(resource)
    if is_invocation(resource) or integrated.family == "Activity" or integrated.service == "states":
        return None
    if integrated.family != "LambdaFunction":
        return f"{pointer}: {resource} is a service that nbflow cannot call yet; use a Lambda ARN bound to a function"
    name = _name(resource)
    if name in tasks:
        return None
    hint = did_you_mean(name, tasks)
    return (
        f"{pointer}: nothing is bound to {name!r}{f' ({hint})' if hint else ''}; pass tasks={{{name!r}: …}}"
    )


def read_definition(definition: Mapping[str, Json] | str | Path) -> tuple[str, Path | None]:
    """A definition (a dict, JSON or YAML text, or a path) as JSON text, and the file that it came from.

    Text is told from a path by its first character or a line break. Raises NbflowError if the file cannot be read, or
    is neither JSON nor YAML, or the dict is not JSON.
    """
    if isinstance(definition, Mapping):
        return _dumped(definition, "the definition"), None
    if not isinstance(definition, str | Path):
        raise TypeError(f"a definition is a dict, a text or a path, not {reprlib.repr(definition)}")
    if isinstance(definition, str) and (definition.lstrip().startswith(("{", "---")) or "\n" in definition):
        return _as_json(definition, "the definition"), None
    path = Path(definition)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NbflowError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise NbflowError(f"the definition {path} cannot be read: {error}") from error
    return _as_json(text, str(path)), path


def _as_json(text: str, where: str) -> str:
    """JSON as it is; YAML turned into it."""
    if text.lstrip().startswith("{"):
        return text
    import yaml

    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NbflowError(f"{where} is neither JSON nor YAML: {error}") from error
    return _dumped(loaded, where)


def _dumped(definition: Json, where: str) -> str:
    try:
        return json.dumps(definition)
    except (TypeError, ValueError, RecursionError) as error:  # a date of YAML's, an object, a cycle
        raise NbflowError(f"{where} is not JSON: {error}") from error
