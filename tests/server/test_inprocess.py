"""``nf.boto3_client``: the same client, with a server and without."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nbflow.server import inprocess
from nbflow.server.app import make_app, signed_with
from nbflow.server.environment import url_of, variables
from nbflow.server.inprocess import boto3_client
from nbflow.server.keys import keys_in
from tests.server.support import KEYS, MACHINE, FakeService, server


@pytest.fixture(autouse=True)
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeService:
    """The service of this process's connection, on a machine that knows nothing of AWS."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", *variables("", KEYS)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    service = FakeService()
    connection = SimpleNamespace(service=service, url=f"sqlite:///{tmp_path / 'nbflow.sqlite'}")
    monkeypatch.setattr(inprocess, "current", lambda: connection)
    monkeypatch.setattr(inprocess, "store_url", lambda: connection.url)
    return service


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, FakeService]]:
    """A server that is not this process's service, but has the keys beside its store."""
    service = FakeService()
    with server(make_app(service.call, signed_with(keys_in(tmp_path / "credentials")))) as port:
        yield url_of("127.0.0.1", port), service


def test_without_a_server_this_process_answers(service: FakeService) -> None:
    answer = boto3_client().list_state_machines(maxResults=7)
    assert service.calls == [("ListStateMachines", {"maxResults": 7})]
    assert answer["stateMachines"][0]["name"] == MACHINE["name"]
    assert answer["stateMachines"][0]["creationDate"].timestamp() == MACHINE["creationDate"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_actions_that_sdks_send_elsewhere(service: FakeService) -> None:
    answer = boto3_client().start_sync_execution(stateMachineArn="arn:x", input="{}")
    assert answer["status"] == "SUCCEEDED"
    assert service.calls == [("StartSyncExecution", {"stateMachineArn": "arn:x", "input": "{}"})]


def test_errors_are_boto3s() -> None:
    sfn = boto3_client()
    with pytest.raises(sfn.exceptions.StateMachineDoesNotExist, match=r"State Machine Does Not Exist: 'x'$"):
        sfn.describe_state_machine(stateMachineArn="x")


def test_our_own_failures_are_told_once(service: FakeService) -> None:
    with pytest.raises(ClientError, match=r"\(InternalFailure\).*the disk is full"):
        boto3_client().stop_execution(executionArn="arn:x")
    assert len(service.calls) == 1


def test_a_large_request_is_refused_here_too() -> None:
    with pytest.raises(ClientError, match="RequestEntityTooLargeException"):
        boto3_client().start_sync_execution(stateMachineArn="arn:x", input='"' + "x" * 1024 * 1024 + '"')


def test_a_client_has_no_socket_to_wait_for(service: FakeService) -> None:
    """Two threads share one, and a poll of one does not hold the other."""
    sfn = boto3_client()
    arn = "arn:aws:states:us-east-1:000000000000:activity:a"
    poll = threading.Thread(target=sfn.get_activity_task, kwargs={"activityArn": arn})
    poll.start()
    assert service.polling.acquire(timeout=30)
    assert sfn.list_state_machines()["stateMachines"]
    service.poll_over.set()
    poll.join()


def test_options_are_boto3s() -> None:
    sfn = boto3_client(region_name="eu-west-3", config=Config(parameter_validation=False))
    assert sfn.meta.region_name == "eu-west-3"
    assert sfn.list_state_machines(maxResults="many")["stateMachines"]


def test_a_server_by_its_url(service: FakeService, served: tuple[str, FakeService]) -> None:
    url, there = served
    sfn = boto3_client(url)
    assert sfn.start_sync_execution(stateMachineArn="arn:x")["status"] == "SUCCEEDED"
    assert (len(service.calls), len(there.calls)) == (0, 1)
    assert sfn.meta.config.read_timeout > 300


def test_a_server_by_the_environment(
    served: tuple[str, FakeService], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, there = served
    for name, value in variables(url, keys_in(tmp_path / "credentials")).items():
        monkeypatch.setenv(name, value)
    assert boto3_client().list_state_machines()["stateMachines"]
    assert len(there.calls) == 1


def test_a_machine_without_a_store_has_the_environments_keys(
    served: tuple[str, FakeService], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, there = served
    for name, value in variables(url, keys_in(tmp_path / "credentials")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(inprocess, "store_url", lambda: f"sqlite:///{tmp_path}/elsewhere/nbflow.sqlite")
    assert boto3_client(url).list_state_machines()["stateMachines"]
    monkeypatch.delenv("AWS_ENDPOINT_URL_SFN")
    assert boto3_client(url).list_state_machines()["stateMachines"]
    assert len(there.calls) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_servers_keys_can_be_given(served: tuple[str, FakeService]) -> None:
    sfn = boto3_client(served[0], aws_access_key_id="NBFLOWX", aws_secret_access_key="y")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        sfn.list_state_machines()
