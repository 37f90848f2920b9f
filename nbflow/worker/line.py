"""The line to the API, and the three things that can go wrong on it.

The same client serves a worker of a server and one of this process. A poll takes up to a minute; when the worker stops,
it hangs up: in process, and with a server that is spoken to directly over plain HTTP, such as nbflow's. Otherwise
(TLS, a proxy) the poll's connection is botocore's own, and the poll is waited for.
"""

import http.client
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from socket import SHUT_WR, socket
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.utils import get_environ_proxies

from nbflow.client.connection import Connection
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.server.inprocess import answer_of, boto3_client, keys_file, local_client
from nbflow.service.errors import ApiError

CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 70
"""A poll takes 60 seconds, and clients should wait for at least 65 (AWS, GetActivityTask)."""


class Unreachable(Exception):
    """The API did not answer, or not now: the same call may succeed later."""


class TaskGone(Exception):
    """The task has been ended: by its timeout, by a stop, or by an answer that has arrived before."""


class Refused(NbflowError):
    """The API has answered no, and will again. ``code`` is its error's name."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Given(NamedTuple):
    """A task that this worker has been given."""

    token: str
    input: str


class Line:
    """Calls of the API by a worker. Each raises Unreachable, TaskGone or Refused, and nothing else."""

    def __init__(self, client: Any, place: str, keys: str) -> None:
        self.place = place
        """For people: "at http://…", "in the store …"."""
        self._client = client
        self._keys = keys

    def find(self, activity: str) -> str:
        """The ARN of the activity with this ARN or name. Raises Refused, with the names of those there are."""
        if activity.startswith("arn:"):
            arn: str = self._call("describe_activity", activityArn=activity)["activityArn"]
            return arn
        known: dict[str, str] = {}
        token: dict[str, str] = {}
        while True:
            listed = self._call("list_activities", **token)
            known |= {each["name"]: each["activityArn"] for each in listed["activities"]}
            if activity in known:
                return known[activity]
            if "nextToken" not in listed:
                raise self._unknown(
                    activity, f"; there are: {', '.join(known)}" if known else "; there are none"
                )
            token = {"nextToken": listed["nextToken"]}

    def create(self, activity: str) -> str:
        """The ARN of the activity with this ARN or name, which is made if it is not there."""
        name = activity.rpartition(":")[2]
        arn: str = self._call("create_activity", name=name)["activityArn"]
        if activity not in (name, arn):
            raise Refused(f"the activity {name} {self.place} is {arn}, not {activity}: give its name only")
        return arn

    def poll(self, activity: str, worker: str, gone: "Future[None]") -> Given | None:
        """The activity's next task; None: there was none in a minute, or ``gone`` has been done."""
        polling.gone = gone
        try:
            found = self._call("get_activity_task", activityArn=activity, workerName=worker)
        finally:
            polling.gone = None
        return Given(found["taskToken"], found["input"]) if found.get("taskToken") else None

    def succeed(self, token: str, output: str) -> None:
        self._call("send_task_success", taskToken=token, output=output)

    def fail(self, token: str, error: str, cause: str) -> None:
        self._call("send_task_failure", taskToken=token, error=error, cause=cause)

    def beat(self, token: str) -> None:
        self._call("send_task_heartbeat", taskToken=token)

    def _call(self, method: str, **parameters: str) -> Any:
        try:
            return getattr(self._client, method)(**parameters)
        except ClientError as error:
            raise self._told(error, parameters) from error
        except (ConnectionError, HTTPClientError) as error:  # botocore's own ConnectionError
            raise Unreachable(str(error)) from error
        except NoCredentialsError as error:
            raise Refused(f"there are no keys for the API {self.place}: {_REMEDY}") from error
        except BotoCoreError as error:
            raise Refused(f"the API {self.place} cannot be asked: {error}") from error

    def _told(self, error: ClientError, parameters: dict[str, str]) -> Exception:
        """What the API's answer means for a worker."""
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if code in _GONE:
            return TaskGone(message)
        if code in _LATER or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            return Unreachable(f"{code}: {message}")
        if code in _KEYS:
            return Refused(f"the API {self.place} refuses {self._keys} ({code}: {message}): {_REMEDY}", code)
        if code == "ActivityDoesNotExist":
            return self._unknown(parameters["activityArn"])
        return Refused(message, code)

    def _unknown(self, activity: str, known: str = "") -> Refused:
        return Refused(
            f"there is no activity {activity} {self.place}{known}. `nbflow worker --create` makes it, and so does the "
            "action CreateActivity",
            "ActivityDoesNotExist",
        )


_GONE: Final = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
_LATER: Final = ("ThrottlingException", "RequestTimeoutException")
_KEYS: Final = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
)
_REMEDY: Final = (
    "`nbflow env`, where the server runs, prints the variables that a worker needs (AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY), and AWS_SESSION_TOKEN must not be set"
)


class _Polling(threading.local):
    gone: "Future[None] | None" = None


polling: Final = _Polling()
"""The poll that this thread is in: done when the worker stops."""


def to_server(url: str | None, concurrency: int) -> Line:
    """The line to the API at ``url``; None: where ``$AWS_ENDPOINT_URL_SFN`` leads. Raises NbflowError for a bad URL."""
    file = keys_file(url)
    config = Config(
        retries={"total_max_attempts": 1},  # the worker tries again by itself, and says so
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        max_pool_connections=max(10, 2 * concurrency),
    )
    try:
        client = boto3_client(url, config=config)
    except ValueError as error:  # so botocore says that it is none
        raise NbflowError(f"{url!r} is no URL of a server; write it as http://HOST:PORT") from error
    url = client.meta.endpoint_url
    if urlsplit(url).scheme == "http" and not get_environ_proxies(url):
        client.meta.events.register("before-send.sfn", _directly)
    return Line(client, f"at {url}", f"the keys in {file}" if file else "the keys of the environment")


def to_connection(connection: Connection) -> Line:
    """The line to a connection of this process."""

    def call(action: str, parameters: dict[str, Json]) -> dict[str, Json]:
        if connection.closed:
            raise ApiError("ConnectionClosed", f"the connection to {connection.url} is closed")
        return connection.service.call(action, parameters, polling.gone)

    return Line(local_client(call), f"in the store {connection.url}", "")


# --- polls that can be hung up


def _directly(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
    """Send a poll over a connection of its own, which ends when it is ``gone``. All else is botocore's to send."""
    gone = polling.gone
    if gone is None:
        return None
    address = urlsplit(request.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
    connected: socket = connection.sock
    connected.settimeout(ANSWER_SECONDS)
    gone.add_done_callback(_hang_up(connected))
    headers = {
        name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    try:
        connection.request(request.method, address.path or "/", request.body, headers)
        response = connection.getresponse()
        return answer_of(request, response.status, dict(response.headers), response.read())
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
    finally:
        connection.close()


def _hang_up(connected: socket) -> Callable[[object], None]:
    def hang_up(_: object) -> None:
        with suppress(OSError):  # it has ended already
            connected.shutdown(SHUT_WR)  # a task that is on its way still arrives

    return hang_up
