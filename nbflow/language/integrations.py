"""Which service integrations the Resource of a Task can name.

``arn:aws:states:::SERVICE:ACTION`` asks for the response of a call. A suffix asks for more: ``.sync`` (and
for nested executions ``.sync:2``) waits for the job, ``.waitForTaskToken`` for a callback (Step Functions
developer guide, "Integrating optimized services"). Every other ARN names a function, an activity or another
resource of a user's own, and is not judged here.
"""

import re
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias

from nbflow.language.values import Json

_REQUEST: Final = frozenset({""})
_JOB: Final = frozenset({"", ".sync"})
_CALLBACK: Final = frozenset({"", ".waitForTaskToken"})
_ALL: Final = _JOB | _CALLBACK

_ANY: Final[frozenset[str]] = frozenset()

_OPTIMIZED: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # service: (patterns, actions; _ANY where the list is long and still growing)
    "apigateway": (_CALLBACK, frozenset({"invoke"})),
    "athena": (_JOB, _ANY),
    "aws-sdk": (_CALLBACK, _ANY),
    "batch": (_JOB, frozenset({"submitJob"})),
    "bedrock": (_ALL, _ANY),
    "bedrock-agentcore": (_REQUEST, _ANY),
    "codebuild": (_JOB, _ANY),
    "databrew": (_JOB, frozenset({"startJobRun"})),
    "dynamodb": (_REQUEST, frozenset({"getItem", "putItem", "updateItem", "deleteItem"})),
    "ecs": (_ALL, frozenset({"runTask"})),
    "eks": (_ALL, _ANY),
    "elasticmapreduce": (_JOB, _ANY),
    "emr-containers": (_JOB, _ANY),
    "emr-serverless": (_JOB, _ANY),
    "events": (_CALLBACK, frozenset({"putEvents"})),
    "glue": (_JOB, frozenset({"startJobRun"})),
    "http": (_REQUEST, frozenset({"invoke"})),
    "lambda": (_CALLBACK, frozenset({"invoke"})),
    "mediaconvert": (_JOB, frozenset({"createJob"})),
    "sagemaker": (_JOB, _ANY),
    "sns": (_CALLBACK, frozenset({"publish"})),
    "sqs": (_CALLBACK, frozenset({"sendMessage"})),
    "states": (_ALL | {".sync:2"}, frozenset({"startExecution"})),
}

_ARN: Final = re.compile(r"arn:[^:\s]+:[^:\s]+:[^:\s]*:[^:\s]*:\S.*")
_INTEGRATION: Final = re.compile(r"arn:[^:]+:states:::([^:]+):(.+?)(\.sync(?::2)?|\.waitForTaskToken)?")

Family: TypeAlias = Literal["Task", "LambdaFunction", "Activity"]
Pattern: TypeAlias = Literal["", ".sync", ".sync:2", ".waitForTaskToken"]


class Integration(NamedTuple):
    """What the Resource of a Task names."""

    family: Family
    """AWS has three families of task events: Lambda functions, activities, and all other resources."""
    service: str = ""
    """``resourceType`` of the events: ``sqs``; the SDK integrations have two parts, such as ``aws-sdk:s3``."""
    action: str = ""
    """``resource`` of the events: ``sendMessage.waitForTaskToken``."""
    pattern: Pattern = ""
    """What it waits for, beyond a response."""

    @property
    def has_token(self) -> bool:
        """Whether somebody outside ends the task, by its token: a worker, a callback, a job."""
        return bool(self.pattern) or self.family == "Activity"


@cache
def integration(resource: str) -> Integration:
    """What a Resource names; of any ARN, also of one that :func:`check` refuses."""
    parts = resource.split(":")
    if parts[2:3] == ["lambda"]:
        return Integration("LambdaFunction")
    if parts[2:3] == ["states"] and parts[5:6] == ["activity"]:
        return Integration("Activity")
    match = _INTEGRATION.fullmatch(resource)
    pattern: Pattern = match[3] or "" if match else ""  # type: ignore[assignment]  # the groups are these
    name = resource.split(":", 5)[-1]
    names = name.split(":", 2 if name.startswith("aws-sdk:") else 1)
    return Integration("Task", ":".join(names[:-1]), names[-1], pattern)


_LISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("apigateway", "invoke"): ("Headers", "QueryParameters"),
}
"""Parameters that are lists of strings by name: (service, action) → fields (AWS guide, "Call API Gateway")."""


def wrong_parameters(resource: str, parameters: Json) -> list[str]:
    """What keeps a task from being started with these parameters, in Step Functions' words."""
    named = integration(resource)
    fields = _LISTS.get((named.service, named.action.partition(".")[0]), ())
    return [
        f"The value of the field '{field}' has an invalid format"
        for field in fields
        if isinstance(parameters, dict) and not _are_lists(parameters.get(field, {}))
    ]


def _are_lists(value: Json) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, list) and all(isinstance(text, str) for text in each) for each in value.values()
    )


@cache
def is_invocation(resource: str) -> bool:
    """Whether a Resource invokes the Lambda function that the arguments name."""
    named = integration(resource)
    return named.service == "lambda" and named.action.partition(".")[0] == "invoke"


def check(resource: str) -> str | None:
    """What is wrong with the Resource of a Task in Step Functions' words, or None.

    Actions of the AWS SDK integrations (``aws-sdk:SERVICE:ACTION``) are not looked up: their list is the SDK.
    """
    if not _ARN.fullmatch(resource):
        return "Value is not a valid resource ARN"
    match = _INTEGRATION.fullmatch(resource)
    if match is None:
        return None
    service, action, pattern = match[1], match[2], match[3] or ""
    patterns, actions = _OPTIMIZED.get(service, (_ANY, _ANY))
    if pattern in patterns and (not actions or action in actions):
        return None
    return (
        f"The resource provided {resource} is not recognized. The value is not a valid resource ARN, "
        "or the resource is not available in this region."
    )
