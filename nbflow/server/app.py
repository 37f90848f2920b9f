"""The ASGI application: bytes in, one call of the service on a thread, bytes out.

The service is synchronous. Calls run on a bounded number of threads; those that wait by their nature (an activity
worker's poll, a synchronous execution) have threads of their own, so that they keep nobody else waiting. Nothing that
a client does, or does not do, holds more than one of them, or more memory than a request may have.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeAlias

import starlette.requests
import starlette.responses
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from nbflow.language.values import Json
from nbflow.server import sigv4
from nbflow.server.keys import Keys
from nbflow.server.protocol import (
    LARGEST_REQUEST,
    Request,
    Response,
    action_of,
    failed,
    refused,
    respond,
    too_large,
)
from nbflow.service.errors import ApiError

Gate: TypeAlias = Callable[[Request], None]
"""Raises ApiError for a request that must not pass."""

LONG_ACTIONS: Final = frozenset({"GetActivityTask", "StartSyncExecution", "TestState"})
"""Calls that may take as long as 60 seconds or 5 minutes (AWS's API reference)."""

CALLS_AT_ONCE: Final = 32
LONG_CALLS_AT_ONCE: Final = 256
"""More of these are refused, not queued: a poll would be over before its turn came."""

BODY_SECONDS: Final = 20.0
"""How long a client may take to send a request's body."""


def signed_with(keys: Keys) -> Gate:
    """Lets pass what these keys have signed."""
    return lambda request: sigv4.verify(request, keys, time.time())


def for_local_names(request: Request) -> None:
    """Lets pass, without keys, what was sent to this machine by one of its own names.

    Otherwise any web page could call a server without keys, by a name of its own that leads to 127.0.0.1.
    """
    host = request.header("host").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("sync-")
    if name not in ("localhost", "127.0.0.1", "[::1]") and not name.endswith(".localhost"):
        raise ApiError(
            "AccessDeniedException",
            f"a server without keys answers to localhost and 127.0.0.1 only, not to {name!r}; start it with keys",
        )


Serve: TypeAlias = Callable[[str, dict[str, Json], "Future[None]"], dict[str, Json]]
"""Does an action. The future is done when the client has gone away: nobody will read the answer."""


def make_app(serve: Serve, gate: Gate) -> Starlette:
    """The application: ``serve`` does what requests ask for that ``gate`` lets pass."""
    short, long = CapacityLimiter(CALLS_AT_ONCE), CapacityLimiter(LONG_CALLS_AT_ONCE)

    async def answer(incoming: starlette.requests.Request) -> Response:
        request = await _read(incoming)
        action = action_of(request)
        gate(request)
        limiter = long if action in LONG_ACTIONS else short
        if limiter is long and limiter.available_tokens < 1:
            raise ApiError("ThrottlingException", "Rate exceeded")
        gone: Future[None] = Future()
        watching = asyncio.create_task(_watch(incoming, gone)) if limiter is long else None
        try:
            return await to_thread.run_sync(
                respond,
                request,
                lambda action, parameters: serve(action, parameters, gone),
                limiter=limiter,
                abandon_on_cancel=True,
            )
        finally:
            if watching is not None:
                watching.cancel()

    async def endpoint(incoming: starlette.requests.Request) -> starlette.responses.Response:
        try:
            return _sent(await answer(incoming))
        except ApiError as error:
            return _sent(refused(error))
        except starlette.requests.ClientDisconnect:
            return starlette.responses.Response(status_code=400)  # nobody is there to read it
        except Exception:  # noqa: BLE001  # it is logged there, with its traceback
            return _sent(failed("The request could not be read."))

    return Starlette(
        routes=[Route("/", endpoint, methods=["POST"]), Route("/health", _health, methods=["GET"])],
        exception_handlers={404: _no_call, 405: _no_call},
    )


async def _watch(incoming: starlette.requests.Request, gone: "Future[None]") -> None:
    """A worker that goes away during its poll must not be given a task."""
    while (await incoming.receive())["type"] != "http.disconnect":
        pass  # nothing else comes after the body
    gone.set_result(None)


async def _health(_: starlette.requests.Request) -> starlette.responses.Response:
    return starlette.responses.JSONResponse({"status": "ok"})


async def _no_call(incoming: starlette.requests.Request, _: Exception) -> starlette.responses.Response:
    """What is neither a call nor any other address of ours. Its body is not read."""
    try:
        action_of(_head(incoming))
    except ApiError as error:
        return _sent(refused(error)._replace(status=404))
    raise HTTPException(404)  # pragma: no cover  # a call has a route


def _head(incoming: starlette.requests.Request) -> Request:
    scope = incoming.scope
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    path, query = scope["raw_path"], scope["query_string"]
    return Request(scope["method"], path.decode("latin-1"), query.decode("latin-1"), headers, b"")


async def _read(incoming: starlette.requests.Request) -> Request:
    """The whole request. Raises ApiError if it is too large or too slow, ClientDisconnect if it has no end."""
    head = _head(incoming)
    declared = head.header("content-length")
    if declared.isdigit() and int(declared) > LARGEST_REQUEST:
        raise too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in incoming.stream():
                body += chunk
                if len(body) > LARGEST_REQUEST:
                    raise too_large()
    except TimeoutError:
        raise ApiError("RequestTimeoutException", "Reading the Request timed out.") from None
    return head._replace(body=bytes(body))


def _sent(response: Response) -> starlette.responses.Response:
    headers = dict(response.headers)
    if response.status in (408, 413):
        headers["connection"] = "close"  # the rest of its body is not waited for
    return starlette.responses.Response(response.body, response.status, headers)
