"""Activity workers at a real server: stock boto3, and one that goes away while it waits."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nbflow.language.values import Json
from nbflow.server.app import for_local_names, make_app
from nbflow.server.environment import url_of
from nbflow.service.arns import activity_arn
from nbflow.store.rows import TokenRow
from tests.server.support import client, headers, server
from tests.service.support import Office

ARN = activity_arn("a")
ASK: Json = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": ARN, "End": True}}}


class Served:
    """An office behind a socket; whenever a worker has asked in vain, it says so."""

    def __init__(self, office: Office, port: int) -> None:
        self.office, self.port = office, port
        self.machine = office.machine(ASK)
        self._vain, self._claim = Semaphore(0), office.store.claim
        office.store.claim = self._asked  # type: ignore[method-assign]

    def _asked(self, activity: str, now: float, fact: str) -> TokenRow | None:
        row = self._claim(activity, now, fact)
        if row is None:
            self._vain.release()
        return row

    def asked_in_vain(self) -> None:
        assert self._vain.acquire(timeout=10)

    @property
    def sfn(self) -> Any:
        return client(url_of("127.0.0.1", self.port))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    office = Office(tmp_path)
    office.call("CreateActivity", name="a")
    with server(make_app(office.service.call, for_local_names)) as port:
        yield Served(office, port)
    office.close()


def test_a_stock_worker(served: Served) -> None:
    sfn = served.sfn
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(sfn.get_activity_task, activityArn=ARN, workerName="w")
        served.asked_in_vain()
        run = sfn.start_execution(stateMachineArn=served.machine, input='{"n": 20}')["executionArn"]
        given = poll.result(timeout=10)
    sfn.send_task_heartbeat(taskToken=given["taskToken"])
    sfn.send_task_success(taskToken=given["taskToken"], output=str(json.loads(given["input"])["n"] + 1))
    assert served.office.ended(run) == "SUCCEEDED"
    assert sfn.describe_execution(executionArn=run)["output"] == "21"
    with pytest.raises(sfn.exceptions.TaskTimedOut, match="Provided task does not exist anymore"):
        sfn.send_task_failure(taskToken=given["taskToken"])
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.send_task_success(taskToken="x", output="1")
    with pytest.raises(sfn.exceptions.ActivityDoesNotExist):
        sfn.get_activity_task(activityArn=activity_arn("none"))


def test_a_result_with_half_a_character(served: Served) -> None:
    """JSON text can hold what no text can: it is a result like any other."""
    sfn = served.sfn
    run = sfn.start_execution(stateMachineArn=served.machine)["executionArn"]
    token = sfn.get_activity_task(activityArn=ARN)["taskToken"]
    sfn.send_task_success(taskToken=token, output='{"half": "\\ud83d"}')
    assert served.office.ended(run) == "SUCCEEDED"
    assert json.loads(sfn.describe_execution(executionArn=run)["output"]) == {"half": "\ud83d"}


def test_a_worker_that_hangs_up_is_given_nothing(served: Served) -> None:
    body = json.dumps({"activityArn": ARN}).encode()
    head = headers("GetActivityTask", content_length=str(len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body)
        served.asked_in_vain()
    workers = served.office.engine.workers
    served.office.engine.open()
    served.office.until(lambda: not workers._waiting)
    run = served.sfn.start_execution(stateMachineArn=served.machine)["executionArn"]
    given = served.sfn.get_activity_task(activityArn=ARN)
    served.sfn.send_task_success(taskToken=given["taskToken"], output="1")
    assert served.office.ended(run) == "SUCCEEDED"


def test_the_end_of_the_engine_ends_the_polls(served: Served) -> None:
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(served.sfn.get_activity_task, activityArn=ARN)
        served.asked_in_vain()
        served.office.engine.close()
        answer = poll.result(timeout=10)
    assert "taskToken" not in answer


def test_a_poll_of_an_engine_that_has_ended(served: Served) -> None:
    served.office.engine.close()
    assert "taskToken" not in served.sfn.get_activity_task(activityArn=ARN)
    with pytest.raises(ClientError, match="closed"):
        served.sfn.start_execution(stateMachineArn=served.machine)
