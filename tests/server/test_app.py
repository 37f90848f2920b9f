"""The application, without a socket: gates, limits, and who waits for whom."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from nbflow.server import app as app_module
from nbflow.server.app import Gate, for_local_names, make_app, signed_with
from nbflow.server.protocol import LARGEST_REQUEST, Request, Response
from nbflow.service.errors import ApiError
from tests.server.support import KEYS, FakeService, error_of, headers, request, signed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

SIGNED = signed_with(KEYS)


def whole(body: bytes) -> Receive:
    """A client that sends its body at once, and then nothing."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        return await asyncio.Future[Message]()

    return receive


def in_pieces(*messages: Message) -> Receive:
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return receive


async def never() -> Message:
    return await asyncio.Future[Message]()


async def answer(app: Any, given: Request, receive: Receive | None = None) -> Response:
    """What the application sends back."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": given.method,
        "scheme": "http",
        "path": given.path,
        "raw_path": given.path.encode(),
        "query_string": given.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.headers],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive or whole(given.body), send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Response(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def ask(given: Request, receive: Receive | None = None, gate: Gate = SIGNED) -> Response:
    return asyncio.run(answer(make_app(FakeService().call, gate), given, receive))


def test_a_signed_call() -> None:
    response = ask(signed(request()))
    assert response.status == 200
    assert json.loads(response.body)["stateMachines"][0]["name"] == "é"
    assert response.headers["content-length"] == str(len(response.body))


def test_an_unsigned_call() -> None:
    service = FakeService()
    app = make_app(service.call, SIGNED)
    response = asyncio.run(answer(app, request()))
    assert error_of(response) == (400, "MissingAuthenticationTokenException", "Missing Authentication Token")
    assert response.headers["content-type"] == "application/x-amz-json-1.0"
    assert response.headers["x-amzn-requestid"]
    assert service.calls == []


def test_a_changed_body() -> None:
    done = signed(request(b'{"a": 1}'))._replace(body=b'{"a": 2}')
    assert error_of(ask(done))[:2] == (400, "InvalidSignatureException")


def test_health_asks_for_no_keys() -> None:
    response = ask(request(b"", {}, method="GET", path="/health"))
    assert (response.status, json.loads(response.body)) == (200, {"status": "ok"})


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", "/"), ("POST", "/x"), ("OPTIONS", "/"), ("POST", "/health")])  # fmt: skip
def test_other_addresses(method: str, path: str) -> None:
    """OPTIONS too: a browser that asks for another site gets no leave."""
    response = ask(request(method=method, path=path))
    assert error_of(response) == (404, "UnknownOperationException", f"Unknown operation: {method} {path} is no call; calls are POST /")  # fmt: skip
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["localhost", "localhost:8083", "127.0.0.1:8083", "sync-127.0.0.1:8083", "[::1]:8083", "[::1]", "sync-localhost", "LOCALHOST", "nbflow.localhost:1"])  # fmt: skip
def test_without_keys_local_names_pass(host: str) -> None:
    assert ask(request(headers=headers(host=host)), gate=for_local_names).status == 200


@pytest.mark.parametrize("host", ["", "example.org", "example.org:8083", "127.0.0.1.example.org", "localhost.example.org:8083", "notlocalhost", "192.168.1.2:8083", "example.org:80:8083"])  # fmt: skip
def test_without_keys_other_names_do_not(host: str) -> None:
    """A page of example.org can let its own name lead to 127.0.0.1 (DNS rebinding)."""
    status, code, message = error_of(ask(request(headers=headers(host=host)), gate=for_local_names))
    assert (status, code) == (400, "AccessDeniedException")
    assert "answers to localhost and 127.0.0.1 only" in message


def test_a_request_declared_too_large_is_not_read() -> None:
    given = request(headers=headers(content_length=str(LARGEST_REQUEST + 1)))
    response = ask(given, never)
    assert error_of(response)[:2] == (413, "RequestEntityTooLargeException")
    assert response.headers["connection"] == "close"


def test_a_request_that_grows_too_large_is_read_no_further() -> None:
    piece: Message = {"type": "http.request", "body": b" " * (LARGEST_REQUEST // 2 + 1), "more_body": True}
    response = ask(request(), in_pieces(piece, piece))
    assert error_of(response)[:2] == (413, "RequestEntityTooLargeException")


def test_a_client_that_does_not_send_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0)
    response = ask(request(), never)
    assert error_of(response) == (408, "RequestTimeoutException", "Reading the Request timed out.")
    assert response.headers["connection"] == "close"


def test_a_client_that_goes_in_the_middle() -> None:
    service = FakeService()
    gone = in_pieces({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})
    response = asyncio.run(answer(make_app(service.call, SIGNED), request(), gone))
    assert (response.body, service.calls) == (b"", [])


def test_a_gate_that_breaks_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Request) -> None:
        raise ZeroDivisionError("a detail of ours")

    response = ask(request(), gate=broken)
    assert error_of(response)[:2] == (500, "InternalFailure")
    assert b"detail" not in response.body
    assert "ZeroDivisionError: a detail of ours" in caplog.text


def passing(_: Request) -> None:
    """No gate."""


def test_polls_keep_nobody_waiting() -> None:
    """More polls than ordinary calls have threads; all wait, and an ordinary call is answered."""
    service = FakeService()
    app = make_app(service.call, passing)
    many = app_module.CALLS_AT_ONCE + 4

    async def scene() -> None:
        polls = [
            asyncio.create_task(answer(app, request(headers=headers("GetActivityTask")))) for _ in range(many)
        ]
        for _ in range(many):
            await asyncio.to_thread(service.polling.acquire)
        assert (await answer(app, request())).status == 200
        assert not any(poll.done() for poll in polls)
        service.poll_over.set()
        assert {response.status for response in await asyncio.gather(*polls)} == {200}

    asyncio.run(scene())


def test_too_many_polls_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "LONG_CALLS_AT_ONCE", 1)
    service = FakeService()
    app = make_app(service.call, passing)
    poll = request(headers=headers("GetActivityTask"))

    async def scene() -> None:
        first = asyncio.create_task(answer(app, poll))
        await asyncio.to_thread(service.polling.acquire)
        assert error_of(await answer(app, poll)) == (400, "ThrottlingException", "Rate exceeded")
        service.poll_over.set()
        assert (await first).status == 200
        assert (await answer(app, poll)).status == 200

    asyncio.run(scene())


def test_an_error_code_of_the_gate_is_kept() -> None:
    def closed(_: Request) -> None:
        raise ApiError("ServiceUnavailable", "later")

    assert error_of(ask(request(), gate=closed)) == (503, "ServiceUnavailable", "later")


def leaving(body: bytes, leaves: asyncio.Event) -> Receive:
    """A client that sends its body at once, and goes away when it is told to."""
    sent = whole(body)
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        if asked == 1:
            return await sent()
        await leaves.wait()
        return {"type": "http.disconnect"}

    return receive


def test_who_waits_for_a_task_is_missed_when_he_goes() -> None:
    service = FakeService()
    app = make_app(service.call, passing)

    async def scene() -> None:
        leaves = asyncio.Event()
        poll = asyncio.create_task(
            answer(app, request(headers=headers("GetActivityTask")), leaving(b"{}", leaves))
        )
        await asyncio.to_thread(service.polling.acquire)
        assert service.gone is not None
        assert not service.gone.done()
        leaves.set()
        await asyncio.wait_for(asyncio.wrap_future(service.gone), 10)
        service.poll_over.set()
        await poll

    asyncio.run(scene())


@pytest.mark.parametrize("action", ["GetActivityTask", "ListStateMachines"])
def test_who_stays_is_not_missed(action: str) -> None:
    service = FakeService()
    service.poll_over.set()

    async def scene() -> None:
        given = request(headers=headers(action))
        assert (
            await answer(make_app(service.call, passing), given, leaving(b"{}", asyncio.Event()))
        ).status == 200
        assert service.gone is not None
        assert not service.gone.done()

    asyncio.run(scene())
