"""AWS JSON 1.0: a call is a POST of a JSON object to ``/``, and the header ``X-Amz-Target`` names the action.

(Smithy, "AWS JSON 1.0 protocol".) Everything here is a function of bytes: the server and the client without a socket
share it. Errors are ApiError by AWS's code; codes that are no action's own are those of AWS, "Common Errors".
"""

import json
import logging
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.service.errors import ApiError

Call: TypeAlias = Callable[[str, dict[str, Json]], dict[str, Json]]
"""``Service.call``: an action's name and its parameters, to its answer."""

TARGET_PREFIX: Final = "AWSStepFunctions."
CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_CONTENT_TYPES: Final = (CONTENT_TYPE, "application/x-amz-json-1.1")

LARGEST_REQUEST: Final = 1024 * 1024
"""Bytes of a request's body (AWS, "Step Functions service quotas", maximum request size)."""

_STATUS: Final = {
    "InternalFailure": 500,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
    "ServiceUnavailable": 503,
}
"""Codes that are not answered with status 400."""

_NAMESPACE: Final = "com.amazonaws.sfn"
"""Errors are named by shape ids, and clients cut this off again."""

_log = logging.getLogger(__name__)


class Request(NamedTuple):
    """A request as it came, for the protocol and for its signature."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """In their order; names in lower case, values decoded as Latin-1."""
    body: bytes

    def header(self, name: str) -> str:
        """A header's value; several of one name are joined by commas (RFC 9110, 5.2); "" if there is none."""
        return ",".join(value for key, value in self.headers if key == name)


class Response(NamedTuple):
    """What goes back."""

    status: int
    headers: dict[str, str]
    body: bytes


def action_of(request: Request) -> str:
    """The action that a request names. Whether there is such an action is the service's to say.

    Raises ApiError UnknownOperationException for what is no call in this protocol. Web pages cannot send one: the
    content type makes browsers ask first, and nobody answers them.
    """
    kind = request.header("content-type").partition(";")[0].strip().lower()
    target = request.header("x-amz-target")
    if request.method != "POST" or request.path != "/" or request.query:
        wrong = f"{request.method} {request.path} is no call; calls are POST /"
    elif kind not in _CONTENT_TYPES:
        wrong = f"the content type is {kind or 'missing'}; calls are {CONTENT_TYPE}"
    elif not target.startswith(TARGET_PREFIX):
        wrong = f"X-Amz-Target is {target or 'missing'}; actions are {TARGET_PREFIX}NAME"
    else:
        return target.removeprefix(TARGET_PREFIX)
    raise ApiError("UnknownOperationException", f"Unknown operation: {wrong}")


def respond(request: Request, call: Call) -> Response:
    """Do what a request asks for. Every error becomes its answer; none is raised."""
    try:
        return _written(200, call(action_of(request), _parameters(request.body)))
    except ApiError as error:
        return refused(error)
    except NbflowError as error:  # of the store, the engine: its words are for the caller too
        return failed(str(error))
    except Exception:  # noqa: BLE001  # it is logged there, with its traceback
        return failed("The request processing has failed because of an unknown error, exception or failure.")


def refused(error: ApiError) -> Response:
    """The answer that carries an error."""
    named: dict[str, Json] = {"__type": f"{_NAMESPACE}#{error.code}", "message": error.message}
    return _written(_STATUS.get(error.code, 400), named)


def failed(message: str) -> Response:
    """The answer to a call that failed by our own fault; the present exception goes to the log under its request id."""
    response = refused(ApiError("InternalFailure", message))
    _log.exception("request %s failed", response.headers["x-amzn-RequestId"])
    return response


def too_large() -> ApiError:
    """The error of a request over LARGEST_REQUEST."""
    limit = f"a request has at most {LARGEST_REQUEST} bytes"
    return ApiError("RequestEntityTooLargeException", f"The request entity is too large: {limit}")


def _written(status: int, value: dict[str, Json]) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, {"content-type": CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}, body)


def _parameters(body: bytes) -> dict[str, Json]:
    """What a body says; nothing says ``{}``. Raises ApiError SerializationException that says where it is wrong."""
    if len(body) > LARGEST_REQUEST:
        raise too_large()
    try:
        value = json.loads(body.decode() or "{}", parse_constant=_no_number)
    except RecursionError:
        raise _malformed("it is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, or an integer of thousands of digits
        raise _malformed(str(error)) from error
    if not isinstance(value, dict):
        raise _malformed("it is no object")
    if not _is_text(value):
        raise _malformed("it holds half of a surrogate pair, which is no character")
    return value


def _is_text(value: dict[str, Json]) -> bool:
    """Whether all its texts can be encoded: JSON's escapes can write half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _malformed(wrong: str) -> ApiError:
    return ApiError("SerializationException", f"The request's body is not valid JSON: {wrong}")
