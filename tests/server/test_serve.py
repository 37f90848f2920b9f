"""A real server on the loopback, with stock clients and with bad ones."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from nbflow.errors import NbflowError
from nbflow.server import serve as serve_module
from nbflow.server.app import make_app, signed_with
from nbflow.server.environment import url_of, variables
from nbflow.server.keys import Keys
from nbflow.server.serve import is_loopback, listen
from tests.server.support import KEYS, MACHINE, FakeService, client, server


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService()


@pytest.fixture(scope="module")
def port(service: FakeService) -> Iterator[int]:
    with server(make_app(service.call, signed_with(KEYS))) as port:
        yield port


def url(port: int) -> str:
    return url_of("127.0.0.1", port)


def test_boto3_calls(port: int) -> None:
    answer = client(url(port)).list_state_machines()
    assert answer["stateMachines"][0]["name"] == MACHINE["name"]
    assert answer["stateMachines"][0]["creationDate"].timestamp() == MACHINE["creationDate"]
    assert answer["ResponseMetadata"]["RequestId"]


def test_boto3_raises_its_own_exceptions(port: int) -> None:
    sfn = client(url(port))
    with pytest.raises(sfn.exceptions.StateMachineDoesNotExist, match=r"State Machine Does Not Exist: 'x'$"):
        sfn.describe_state_machine(stateMachineArn="x")


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (Keys(KEYS.access_key, "another"), "InvalidSignatureException"),
        (Keys("NBFLOWOTHER", KEYS.secret_key), "UnrecognizedClientException"),
    ],
)
def test_other_keys(port: int, keys: Keys, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(url(port), keys).list_state_machines()
    assert refused.value.response["Error"]["Code"] == code


def test_a_session_token(port: int) -> None:
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client(url(port), aws_session_token="token").list_state_machines()


def test_a_host_prefix_is_no_matter(port: int) -> None:
    """botocore puts sync- before the host; whoever resolves that to us is answered."""
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: sync-localhost\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in raw.recv(100)


def test_many_clients_at_once(port: int) -> None:
    sfn = client(url(port))
    with ThreadPoolExecutor(16) as pool:
        names = pool.map(lambda _: sfn.list_state_machines()["stateMachines"][0]["name"], range(100))
    assert set(names) == {MACHINE["name"]}


def test_the_aws_cli(port: int, tmp_path: Path) -> None:
    aws = Path(sys.executable).with_name("aws")
    if not aws.exists():
        pytest.skip("the AWS CLI is not installed")
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    commands = [["list-state-machines"], ["start-sync-execution", "--state-machine-arn", "arn:x"]]
    for command in commands:
        done = subprocess.run(
            [aws, "stepfunctions", *command, "--output", "json"],
            env={**home, **variables(url(port), KEYS)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)


# --- bad clients


def said_to(port: int, *pieces: bytes) -> bytes:
    """All that the server says to raw bytes before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        heard = b""
        with suppress(ConnectionError):  # it may hang up while it is spoken to
            for piece in pieces:
                raw.sendall(piece)
            while more := raw.recv(65536):
                heard += more
        return heard


def test_what_is_no_http(port: int) -> None:
    assert b"400 Bad Request" in said_to(port, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")


def test_a_head_without_end(port: int) -> None:
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
    assert said_to(port, b"POST / HTTP/1.1\r\n", *[line] * 500) == b""


@pytest.mark.parametrize("beginning", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_come(beginning: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "HEAD_SECONDS", 0.01)
    with server(make_app(FakeService().call, signed_with(KEYS))) as port:
        assert said_to(port, beginning) == b""


def test_a_second_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        server(make_app(FakeService().call, signed_with(KEYS))) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as raw,
    ):
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in raw.recv(65536)
        monkeypatch.setattr(serve_module, "HEAD_SECONDS", 0.01)
        raw.sendall(b"GET /hea")
        with suppress(ConnectionError):  # reset: hung up just as well
            while raw.recv(65536):
                pass


def test_a_body_that_is_too_large_ends_the_connection(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    heard = said_to(port, head)
    assert heard.startswith(b"HTTP/1.1 413")
    assert b"RequestEntityTooLargeException" in heard


# --- places


def test_a_taken_port(port: int) -> None:
    with pytest.raises(
        NbflowError, match=rf"cannot listen on 127.0.0.1 port {port}: Address already in use. End what"
    ):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "256.1.1.1"])
def test_no_such_host(host: str) -> None:
    with pytest.raises(NbflowError, match="there is no host"):
        listen(host, 0)


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("", False), ("192.0.2.1", False)])  # fmt: skip
def test_what_only_this_machine_can_reach(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_answers_are_sent_without_delay() -> None:
    """asyncio switches Nagle's algorithm off only on sockets that say that they are TCP; it costs 40 ms a call."""
    listener = listen("127.0.0.1", 0)
    with listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_end_does_not_wait_for_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "GRACE_SECONDS", 0)
    service = FakeService()
    with ThreadPoolExecutor(1) as pool:
        with server(make_app(service.call, signed_with(KEYS))) as port:
            arn = "arn:aws:states:us-east-1:000000000000:activity:a"
            poll = pool.submit(client(url(port)).get_activity_task, activityArn=arn)
            assert service.polling.acquire(timeout=30)
        error = poll.exception()
        service.poll_over.set()
    assert error is not None
