"""A service that records what it was asked, requests to it, and a real server around it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from starlette.applications import Starlette

from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.server.keys import Keys
from nbflow.server.protocol import CONTENT_TYPE, Request, Response
from nbflow.server.serve import listen, serving
from nbflow.service.errors import ApiError

KEYS = Keys("NBFLOWABCDEFGHIJKLMN", "a-secret_of-the-tests")
MACHINE = {"stateMachineArn": "arn:x", "name": "é", "type": "STANDARD", "creationDate": 1_700_000_000.25}


class FakeService:
    """Answers by a table; whatever is not in it is an unknown operation."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Json]]] = []
        self.gone: Future[None] | None = None
        """Of the latest call: done when its client has gone away."""
        self.polling = threading.Semaphore(0)
        """Released whenever a poll has begun."""
        self.poll_over = threading.Event()
        self._answers: Mapping[str, Callable[[], dict[str, Json]]] = {
            "ListStateMachines": lambda: {"stateMachines": [MACHINE]},
            "StartSyncExecution": lambda: {"executionArn": "arn:y", "startDate": 1.5, "stopDate": 2, "status": "SUCCEEDED"},
            "GetActivityTask": self._poll,
            "DescribeStateMachine": lambda: self._fail(ApiError("StateMachineDoesNotExist", "State Machine Does Not Exist: 'x'", "try y")),
            "DescribeExecution": lambda: self._fail(ValueError("a detail of ours")),
            "StopExecution": lambda: self._fail(NbflowError("the disk is full")),
        }  # fmt: skip

    def call(
        self, action: str, parameters: dict[str, Json], gone: Future[None] | None = None
    ) -> dict[str, Json]:
        self.gone = gone
        self.calls.append((action, parameters))
        if action not in self._answers:
            raise ApiError("UnknownOperationException", f"Unknown operation: {action}")
        return self._answers[action]()

    def _poll(self) -> dict[str, Json]:
        self.polling.release()
        assert self.poll_over.wait(60)
        return {"taskToken": "token", "input": "{}"}

    def _fail(self, error: Exception) -> dict[str, Json]:
        raise error


def headers(action: str = "ListStateMachines", **more: str) -> dict[str, str]:
    """What every call has; ``more`` by its name with underscores."""
    given = {name.replace("_", "-"): value for name, value in more.items()}
    return {
        "host": "127.0.0.1",
        "content-type": CONTENT_TYPE,
        "x-amz-target": f"AWSStepFunctions.{action}",
        **given,
    }


def request(
    body: bytes = b"{}",
    headers: Mapping[str, str] = headers(),
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
) -> Request:
    lowered = tuple((name.lower(), value) for name, value in headers.items())
    return Request(method, path, query, lowered, body)


def signed(
    unsigned: Request, keys: Keys = KEYS, region: str = "eu-west-3", service: str = "states"
) -> Request:
    """As botocore signs it, now."""
    host = unsigned.header("host")
    target = f"http://{host}{unsigned.path}" + (f"?{unsigned.query}" if unsigned.query else "")
    prepared = AWSRequest(unsigned.method, target, dict(unsigned.headers), unsigned.body)
    SigV4Auth(Credentials(*keys), service, region).add_auth(prepared)
    lowered = tuple((name.lower(), value) for name, value in prepared.headers.items())
    return unsigned._replace(headers=lowered)


def changed(given: Request, name: str, value: str | None) -> Request:
    """With another header; without it if the value is None."""
    kept = tuple(pair for pair in given.headers if pair[0] != name)
    return given._replace(headers=kept if value is None else (*kept, (name, value)))


def error_of(response: Response) -> tuple[int, str, str]:
    """Status, code and message, as a client reads them."""
    said = json.loads(response.body)
    return response.status, said["__type"].rpartition("#")[2], said["message"]


def client(url: str, keys: Keys = KEYS, **options: Any) -> Any:
    """Stock boto3, as `nbflow env` sets it up."""
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, read_timeout=30)
    key, secret = keys
    given = {"aws_access_key_id": key, "aws_secret_access_key": secret, "region_name": "us-east-1", **options}
    return boto3.client("stepfunctions", endpoint_url=url, config=config, **given)


@contextmanager
def server(app: Starlette) -> Iterator[int]:
    """A real server on a free port of the loopback."""
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    with serving(app, listener):
        yield port
