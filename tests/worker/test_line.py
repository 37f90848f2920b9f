"""The line to the API: what its answers mean for a worker, whose keys it has, and how a poll is hung up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import nbflow as nf
from nbflow.language.values import Json
from nbflow.server.app import make_app, signed_with
from nbflow.server.environment import url_of, variables
from nbflow.server.inprocess import local_client
from nbflow.server.keys import keys_in
from nbflow.server.serve import listen
from nbflow.service.arns import activity_arn
from nbflow.service.errors import ApiError
from nbflow.worker.line import Given, Line, Refused, TaskGone, Unreachable, to_connection, to_server
from tests.server.support import KEYS, FakeService, server

ARN = activity_arn("a")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that knows nothing of AWS, and a project without a store."""
    for name in ("NBFLOW_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", *variables("", KEYS)):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answering(call: Callable[[str, dict[str, Json]], dict[str, Json]]) -> Line:
    return Line(local_client(call), "there", "these keys")


def refusing(code: str, message: str = "why") -> Line:
    def call(action: str, parameters: dict[str, Json]) -> dict[str, Json]:
        raise ApiError(code, message)

    return answering(call)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("TaskTimedOut", TaskGone, "^why$"),
        ("TaskDoesNotExist", TaskGone, "^why$"),
        ("InvalidToken", TaskGone, "^why$"),
        ("ThrottlingException", Unreachable, "^ThrottlingException: why$"),
        ("ServiceUnavailable", Unreachable, "^ServiceUnavailable: why$"),
        ("InternalFailure", Unreachable, "^InternalFailure: why$"),
        ("InvalidSignatureException", Refused, r"^the API there refuses these keys \(InvalidSignatureException: why\): `nbflow env`"),
        ("UnrecognizedClientException", Refused, "refuses these keys"),
        ("InvalidOutput", Refused, "^why$"),
    ],
)  # fmt: skip
def test_what_an_error_means(code: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        refusing(code).beat("token")


def test_an_activity_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(
        Refused, match=rf"^there is no activity {ARN} there\. `nbflow worker --create` makes it"
    ) as error:
        refusing("ActivityDoesNotExist").find(ARN)
    assert error.value.code == "ActivityDoesNotExist"


def test_an_activity_is_found_by_its_name_on_any_page() -> None:
    def call(action: str, parameters: dict[str, Json]) -> dict[str, Json]:
        assert action == "ListActivities"
        names, more = (("a", "b"), {"nextToken": "2"}) if "nextToken" not in parameters else (("c",), {})
        listed = [{"name": each, "activityArn": f"arn:{each}", "creationDate": 1} for each in names]
        return {"activities": listed, **more}

    line = answering(call)
    assert (line.find("b"), line.find("c")) == ("arn:b", "arn:c")
    with pytest.raises(
        Refused, match=r"there is no activity d there; there are: a, b, c\. `nbflow worker --create`"
    ):
        line.find("d")


def test_an_activity_is_made_by_its_name_or_its_arn() -> None:
    line = answering(
        lambda action, parameters: {"activityArn": activity_arn(parameters["name"]), "creationDate": 1}
    )
    assert line.create("a") == line.create(ARN) == ARN
    other = ARN.replace("000000000000", "111111111111")
    with pytest.raises(Refused, match=f"the activity a there is {ARN}, not {other}: give its name only"):
        line.create(other)


def test_a_poll_gives_a_task_or_nothing() -> None:
    answers = [{"taskToken": "t", "input": "{}"}, {}]
    line = answering(lambda action, parameters: answers.pop(0))
    assert line.poll(ARN, "me", Future()) == Given("t", "{}")
    assert line.poll(ARN, "me", Future()) is None


def test_a_poll_in_process_is_hung_up() -> None:
    with_activity = nf.connect()
    line = to_connection(with_activity)
    gone: Future[None] = Future()
    polled: list[Any] = []
    thread = threading.Thread(target=lambda: polled.append(line.poll(line.create("a"), "me", gone)))
    thread.start()
    gone.set_result(None)
    thread.join()
    assert polled == [None]


def test_a_closed_connection_takes_no_calls() -> None:
    line = to_connection(nf.connect())
    nf.disconnect()
    with pytest.raises(Refused, match=r"^the connection to sqlite:.* is closed$"):
        line.beat("token")


# --- over HTTP


def test_a_poll_over_http_is_hung_up_and_the_server_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    with server(make_app(service.call, signed_with(KEYS))) as port:
        for name, value in variables(url_of("127.0.0.1", port), KEYS).items():
            monkeypatch.setenv(name, value)
        line = to_server(None, 1)
        gone: Future[None] = Future()
        polled: list[object] = []

        def poll() -> None:
            try:
                polled.append(line.poll(ARN, "me", gone))
            except Unreachable as error:
                polled.append(error)

        thread = threading.Thread(target=poll)
        thread.start()
        assert service.polling.acquire(timeout=30)
        gone.set_result(None)
        thread.join()
        assert isinstance(polled[0], Unreachable)
        assert service.gone is not None
        service.gone.result(30)
        service.poll_over.set()


def test_a_task_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService()
    service.poll_over.set()
    with server(make_app(service.call, signed_with(KEYS))) as port:
        for name, value in variables(url_of("127.0.0.1", port), KEYS).items():
            monkeypatch.setenv(name, value)
        assert to_server(None, 1).poll(ARN, "me", Future()) == Given("token", "{}")
    assert service.calls == [("GetActivityTask", {"activityArn": ARN, "workerName": "me"})]


def test_whose_keys_are_refused_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(make_app(FakeService().call, signed_with(KEYS))) as port:
        url = url_of("127.0.0.1", port)
        with pytest.raises(Refused, match=f"there are no keys for the API at {url}: `nbflow env`"):
            to_server(url, 1).beat("token")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NBFLOWX")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
        with pytest.raises(Refused, match="refuses the keys of the environment"):
            to_server(url, 1).poll(ARN, "me", Future())
        assert not (folder / ".nbflow").exists(), "a worker of a server has no store"
        nf.connect()
        keys_in(folder / ".nbflow" / "credentials")
        with pytest.raises(Refused, match=f"refuses the keys in {folder}/.nbflow/credentials"):
            to_server(url, 1).beat("token")


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = listen("127.0.0.1", 0)
    url = url_of("127.0.0.1", listener.getsockname()[1])
    listener.close()
    for name, value in variables(url, KEYS).items():
        monkeypatch.setenv(name, value)
    line = to_server(None, 1)
    with pytest.raises(Unreachable, match="Could not connect"):
        line.beat("token")
    with pytest.raises(Unreachable, match="Could not connect"):
        line.poll(ARN, "me", Future())


def test_a_server_that_is_no_url() -> None:
    with pytest.raises(
        nf.NbflowError, match="'localhost:9' is no URL of a server; write it as http://HOST:PORT"
    ):
        to_server("localhost:9", 1)
