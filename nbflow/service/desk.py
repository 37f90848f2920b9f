"""What an action works with."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from nbflow.engine.engine import Engine
from nbflow.machine.history import Event
from nbflow.store.port import Store
from nbflow.tasks.job import Code
from nbflow.testing.mock_config import MockConfig

Limits: TypeAlias = Literal["local", "aws"]


@dataclass(slots=True)
class Desk:
    """The front desk: what the store remembers, the engine that runs executions, and what tasks can be done."""

    store: Store
    engine: Engine
    limits: Limits = "local"
    """Whose quotas hold for new executions: AWS's, or nbflow's own, which are those of the machine."""
    functions: Mapping[str, Code] = field(default_factory=dict)
    """Code for the tasks of executions that arrive over the API, by the name at the end of a Lambda ARN."""
    own_functions: dict[str, Mapping[str, Code]] = field(default_factory=dict)
    """The functions of machines that were made in this process, by the machine's ARN and the function's name."""
    halfway: set[str] = field(default_factory=set)
    """Executions that have been taken over and that the engine does not have yet."""
    readings: OrderedDict[tuple[str, int], Iterator[Event]] = field(default_factory=OrderedDict)
    """Histories that somebody is reading page by page: the ARN, and the number of events that were read."""
    mocks: MockConfig = field(default_factory=MockConfig)
    """Scripted results, for executions that are started on ``<machine's ARN>#<test case>``."""
