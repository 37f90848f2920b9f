"""``@nf.flow``: a Python function as a state machine."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from nbflow.authoring.flow import compile_flow
from nbflow.client.connection import say
from nbflow.client.executions import Execution
from nbflow.client.machines import StateMachine, read_definition
from nbflow.client.redriving import remember
from nbflow.language.values import Json
from nbflow.service.arns import check_name
from nbflow.store.port import digest

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A function that is a state machine: its task calls are Task states, its comprehensions Maps, its ``if`` Choices.

    It is compiled when it is defined, so that mistakes show at once, and again at each start, so that the tasks and
    globals that it names are what they are then.
    """

    def __init__(self, function: Callable[P, R], name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name or function.__name__)
        code = compile_flow(function, name=self.name)
        self._signature = code.signature
        remember(digest(read_definition(code.definition)[0]), self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Plain Python: nothing is recorded, and nothing runs on Dask."""
        say(
            f"{self.name}(…) runs as plain Python and records nothing; {self.name}.start(…) makes it an execution"
        )
        return self.function(*args, **kwargs)

    @property
    def machine(self) -> StateMachine:
        """The state machine that it is at this moment. Raises FlowError, or what StateMachine raises."""
        code = compile_flow(self.function, name=self.name)
        machine = StateMachine(code.definition, name=self.name, tasks=code.tasks, checks=code.checks)
        remember(machine.sha256, self)
        return machine

    @property
    def definition(self) -> dict[str, Json]:
        """The ASL, as a dict; valid on AWS."""
        return compile_flow(self.function, name=self.name).definition

    def start(
        self, input: object = None, /, *, execution_name: str | None = None, **parameters: object
    ) -> Execution:
        """Begin an execution and return at once, as soon as it is durable.

        ``parameters`` are the function's; ``input``, instead of them, is an object with them as members. Raises
        TypeError if they are not what the function takes, and what :meth:`StateMachine.start` raises.
        """
        if input is not None:
            if parameters or not isinstance(input, dict):
                raise TypeError(f"start {self.name} with keywords: {self.name}.start({self._usage()})")
            parameters = input
        try:
            self._signature.bind(**parameters)
        except TypeError as error:
            raise TypeError(f"{self.name}.start({self._usage()}): {error}") from None
        return self.machine.start(parameters, execution_name=execution_name)

    def run(
        self, input: object = None, /, *, execution_name: str | None = None, **parameters: object
    ) -> object:
        """``start(…).result()``: the execution's result, with references loaded."""
        return self.start(input, execution_name=execution_name, **parameters).result()

    def _usage(self) -> str:
        return ", ".join(
            name if parameter.default is inspect.Parameter.empty else f"{name}={parameter.default!r}"
            for name, parameter in self._signature.parameters.items()
        )

    def __repr__(self) -> str:
        return f"<nbflow flow {self.name}{inspect.signature(self.function)}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints of it."""
        printer.text(f"{self!r}\n{self.machine.draw()}")

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        return self.machine._repr_html_()


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(*, name: str | None = None) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(
    function: Callable[P, R] | None = None, /, *, name: str | None = None
) -> Flow[P, R] | Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow: ``@nf.flow`` or ``@nf.flow(name="…")``.

    ``name`` is the state machine's, by default the function's. Raises FlowError, with file, line and what to write
    instead, for what a flow cannot be made of.
    """
    if function is not None:
        return Flow(function)
    return lambda function: Flow(function, name)
