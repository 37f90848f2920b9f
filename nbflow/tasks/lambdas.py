"""``lambda:invoke``: a bound function gets the Payload, and answers as Lambda does (AWS guide, "Invoke Lambda")."""

from collections.abc import Mapping

from nbflow.language.integrations import is_invocation
from nbflow.language.values import Json
from nbflow.machine import orders
from nbflow.tasks.job import Code


def bound(order: orders.RunTask, codes: Mapping[str, Code]) -> tuple[Code | None, Json]:
    """What does a task, of ``codes`` by their Resources, and what it is called with. None: nothing is bound to it."""
    if not is_invocation(order.resource):
        return codes.get(order.resource), order.arguments
    asked = order.arguments if isinstance(order.arguments, dict) else {}
    return codes.get(function_name(asked.get("FunctionName"))), asked.get("Payload", {})


def function_name(function: Json) -> str:
    """The name in the FunctionName of an invocation: a name, a full or a partial ARN, each perhaps with a qualifier.

    ``NAME``, ``NAME:QUALIFIER``, ``ACCOUNT:function:NAME``, ``arn:aws:lambda:REGION:ACCOUNT:function:NAME`` → NAME.
    """
    text = function if isinstance(function, str) else ""
    return (text.rpartition(":function:")[2] or text).split(":")[0]


def enveloped(payload: Json) -> dict[str, Json]:
    """The answer of an invocation that returned ``payload``. No HTTP was spoken: its metadata are empty."""
    return {
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": {"AllHttpHeaders": {}, "HttpHeaders": {}, "HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": ""},
        "StatusCode": 200,
    }
