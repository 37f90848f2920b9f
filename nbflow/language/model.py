"""A definition as data: one frozen pydantic model per state type, named as the ASL specification names them.

``parse`` (in :mod:`nbflow.language.validate`) normalises before it builds these models, so that readers need
no case distinctions: every state carries its own ``query_language``, a Map has ``item_processor`` and
``item_selector`` also where the text says ``Iterator`` and ``Parameters``.

Values that may be written as a JSONata string (``"{% … %}"``) have ``str`` in their type. Templates
(Parameters, Arguments, Output, Assign, …) stay raw JSON; :mod:`nbflow.language.payload` fills them in.

The models know a field's name, its type and its range. What relates fields to each other and to the query
language is in :mod:`nbflow.language.rules`, what relates states to each other in
:mod:`nbflow.language.graph`.
"""

from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from nbflow.language.values import ABSENT, Json

QueryLanguage: TypeAlias = Literal["JSONPath", "JSONata"]

Seconds: TypeAlias = Annotated[int, Field(ge=1, le=99_999_999)]
"""A time limit (Step Functions developer guide, "Task state fields")."""
Count: TypeAlias = Annotated[int, Field(ge=0)]
Percentage: TypeAlias = Annotated[float, Field(ge=0.0, le=100.0)]


class Node(BaseModel):
    """Any JSON object of a definition. Unknown fields are mistakes; every object may have a Comment."""

    model_config = ConfigDict(
        alias_generator=to_pascal,
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        defer_build=True,  # the validators are built when the first definition is parsed, not at import
    )
    comment: str | None = None


class Retrier(Node):
    """One member of Retry (ASL, "Retrying after error")."""

    error_equals: list[str] = Field(min_length=1)
    interval_seconds: Annotated[int, Field(ge=0, le=99_999_999)] = 1
    """The specification says positive; Step Functions accepts 0, and retries at once."""
    max_attempts: Annotated[int, Field(ge=0, le=99_999_999)] = 3
    backoff_rate: Annotated[float, Field(ge=1.0)] = 2.0
    max_delay_seconds: Annotated[int, Field(ge=1, le=31_622_400)] | None = None
    jitter_strategy: Literal["NONE", "FULL"] = "NONE"


class Catcher(Node):
    """One member of Catch (ASL, "Fallback states")."""

    error_equals: list[str] = Field(min_length=1)
    next: str
    result_path: str | None = "$"
    output: Json = ABSENT
    assign: dict[str, Json] | None = None


class State(Node):
    """The fields that every state type has."""

    query_language: QueryLanguage = "JSONPath"
    input_path: str | None = "$"
    output_path: str | None = "$"
    output: Json = ABSENT
    assign: dict[str, Json] | None = None

    @property
    def jsonata(self) -> bool:
        return self.query_language == "JSONata"


class Step(State):
    """A state that goes on to another one or ends its branch."""

    next: str | None = None
    end: bool = False


class Work(Step):
    """What Task, Map and Parallel share: arguments in, a result out, Retry and Catch."""

    parameters: Json = ABSENT
    arguments: Json = ABSENT
    result_selector: dict[str, Json] | None = None
    result_path: str | None = "$"
    retry: list[Retrier] = []
    catch: list[Catcher] = []

    @cached_property
    def expected(self) -> tuple[str, ...]:
        """The error names that Retry and Catch list."""
        listed = [member.error_equals for member in self.retry] + [
            member.error_equals for member in self.catch
        ]
        return tuple(name for names in listed for name in names)


class Pass(Step):
    type: Literal["Pass"]
    parameters: Json = ABSENT
    result: Json = ABSENT
    result_path: str | None = "$"


class Task(Work):
    type: Literal["Task"]
    resource: str = Field(min_length=1)
    timeout_seconds: Seconds | str | None = None
    timeout_seconds_path: str | None = None
    heartbeat_seconds: Seconds | str | None = None
    heartbeat_seconds_path: str | None = None
    credentials: dict[str, Json] | None = None

    @cached_property
    def is_timed(self) -> bool:
        """Whether it may end because of its time."""
        limits = (
            self.timeout_seconds,
            self.timeout_seconds_path,
            self.heartbeat_seconds,
            self.heartbeat_seconds_path,
        )
        return any(limit is not None for limit in limits)


class Choice(State):
    """``choices`` stay raw: :mod:`nbflow.language.choice` reads the rules by its table of operators."""

    type: Literal["Choice"]
    choices: list[dict[str, Json]] = Field(min_length=1)
    default: str | None = None


class Wait(Step):
    type: Literal["Wait"]
    seconds: Annotated[int, Field(ge=0, le=99_999_999)] | str | None = None
    seconds_path: str | None = None
    timestamp: str | None = None
    timestamp_path: str | None = None


class Succeed(State):
    type: Literal["Succeed"]


class Fail(Node):
    type: Literal["Fail"]
    query_language: QueryLanguage = "JSONPath"
    error: str | None = None
    error_path: str | None = None
    cause: str | None = None
    cause_path: str | None = None

    @property
    def jsonata(self) -> bool:
        return self.query_language == "JSONata"


class Branch(Node):
    """A set of states with a start: a branch of Parallel."""

    start_at: str
    states: dict[str, "AnyState"] = Field(min_length=1)


class Parallel(Work):
    type: Literal["Parallel"]
    branches: list[Branch] = Field(min_length=1)


class ProcessorConfig(Node):
    mode: Literal["INLINE", "DISTRIBUTED"] = "INLINE"
    execution_type: Literal["STANDARD", "EXPRESS"] | None = None


class ItemProcessor(Branch):
    """The states that one item of a Map runs through."""

    processor_config: ProcessorConfig = ProcessorConfig()


class ItemReader(Node):
    resource: str
    parameters: Json = ABSENT
    arguments: Json = ABSENT
    reader_config: dict[str, Json] | None = None


class ItemBatcher(Node):
    max_items_per_batch: Count | str | None = None
    max_items_per_batch_path: str | None = None
    max_input_bytes_per_batch: Count | str | None = None
    max_input_bytes_per_batch_path: str | None = None
    batch_input: Json = ABSENT


class ResultWriter(Node):
    resource: str | None = None
    parameters: Json = ABSENT
    arguments: Json = ABSENT
    writer_config: dict[str, Json] | None = None


class Map(Work):
    type: Literal["Map"]
    item_processor: ItemProcessor
    item_selector: Json = ABSENT
    items: Json = ABSENT
    items_path: str = "$"
    max_concurrency: Count | str | None = None
    max_concurrency_path: str | None = None
    tolerated_failure_count: Count | str | None = None
    tolerated_failure_count_path: str | None = None
    tolerated_failure_percentage: Percentage | str | None = None
    tolerated_failure_percentage_path: str | None = None
    item_reader: ItemReader | None = None
    item_batcher: ItemBatcher | None = None
    result_writer: ResultWriter | None = None
    label: str | None = None


AnyState: TypeAlias = Annotated[
    Pass | Task | Choice | Wait | Succeed | Fail | Parallel | Map, Field(discriminator="type")
]


class StateMachine(Branch):
    """The whole definition (ASL, "State Machine")."""

    version: Literal["1.0"] = "1.0"
    query_language: QueryLanguage = "JSONPath"
    timeout_seconds: Seconds | None = None
