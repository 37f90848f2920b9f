"""``lambda:invoke``: a bound function gets the Payload, and answers as Lambda does (AWS guide, "Invoke Lambda")."""

from nbflow.language.values import Json


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
