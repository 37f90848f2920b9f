"""What the server costs: starts by one client, and how soon an activity worker that waits gets its task."""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROLE: Final = "arn:aws:iam::000000000000:role/bench"
PASS: Final = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
ANSWER: Final = b'{"executionArn":"arn:aws:states:us-east-1:000000000000:execution:m:6f06318b-a0b0-554a-abf5-a6739048d29d","startDate":1795747337.573}'  # fmt: skip  # noqa: E501

Say = Callable[[str, str, float, tuple[str, float]], None]


async def idle(scope: Any, receive: Any, send: Any) -> None:
    """The floor, as an ASGI application: reads a request, and answers the same bytes to all."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"content-length", str(len(ANSWER)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def measure(say: Say, starts: int = 300, rounds: int = 5, tasks: int = 60) -> None:
    """Print the figures. Each server is a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/store.sqlite"
        ours, floor = _port(), _port()
        uvicorn = ("-m", "uvicorn", "benchmarks.api:idle", "--log-level", "warning", "--port", str(floor))
        with (
            _process("-m", "nbflow.cli", "server", "--port", str(ours), "--store", store),
            _process(*uvicorn),
        ):
            client = _client(ours, Path(folder))
            _starts(say, client, _client(floor, Path(folder)), starts, rounds)
            _wake_ups(say, client, _client(ours, Path(folder)), tasks)
        _wake_ups_in_process(say, Path(folder), tasks)


def _starts(say: Say, client: Any, idle: Any, count: int, rounds: int) -> None:
    made = client.create_state_machine(name="m", definition=json.dumps(PASS), roleArn=ROLE)
    machine = made["stateMachineArn"]

    def seconds(of: Any) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            of.start_execution(stateMachineArn=machine, input='{"rows": 3}')
        return time.perf_counter() - begun

    seconds(client), seconds(idle)
    times = [(seconds(client), seconds(idle)) for _ in range(rounds)]
    mine, least = (count / statistics.median(column) for column in zip(*times, strict=True))
    figure = f"{mine / least:.0%} ({mine:.0f}/s : {least:.0f}/s)"
    say("StartExecution by one boto3 client : an idle server", figure, mine / least, (">=", 0.65))
    say("StartExecution by one boto3 client (AWS's quota: 300/s)", f"{mine:.0f}/s", mine, (">=", 300))


def _wake_ups(say: Say, client: Any, worker: Any, count: int) -> None:
    activity = client.create_activity(name="a")["activityArn"]
    task = {"Type": "Task", "Resource": activity, "End": True}
    made = client.create_state_machine(
        name="w", definition=json.dumps({"StartAt": "T", "States": {"T": task}}), roleArn=ROLE
    )
    received: list[float] = []

    def work() -> None:
        for _ in range(count):
            given = worker.get_activity_task(activityArn=activity)
            received.append(time.time())
            worker.send_task_success(taskToken=given["taskToken"], output="1")

    thread = threading.Thread(target=work)
    thread.start()
    latencies = []
    for number in range(count):
        time.sleep(0.02)  # the worker waits again
        arn = client.start_execution(stateMachineArn=made["stateMachineArn"])["executionArn"]
        while len(received) <= number:
            time.sleep(0.001)
        events = client.get_execution_history(executionArn=arn)["events"]
        [queued] = [event for event in events if event["type"] == "ActivityScheduled"]
        latencies.append((received[number] - queued["timestamp"].timestamp()) * 1000)
    thread.join()
    latencies.sort()
    middle, late = statistics.median(latencies), latencies[int(count * 0.95)]
    figure = f"p50 {middle:.1f} ms, p95 {late:.1f} ms"
    say("from an activity's task queued to its worker, by HTTP and boto3", figure, middle, ("<=", 2))


def _wake_ups_in_process(say: Say, folder: Path, count: int) -> None:
    """The same without HTTP and boto3: from the engine's decision to the waiting thread that has the task."""
    from nbflow.client.connection import Connection

    connection = Connection(f"sqlite:///{folder}/alone.sqlite")
    call, taken, latencies = connection.service.call, [0.0], []
    activity = call("CreateActivity", {"name": "a"})["activityArn"]
    task = {"Type": "Task", "Resource": activity, "End": True}
    definition = json.dumps({"StartAt": "T", "States": {"T": task}})
    machine = call("CreateStateMachine", {"name": "w", "definition": definition, "roleArn": ROLE})

    def work(done: threading.Event) -> None:
        given = call("GetActivityTask", {"activityArn": activity})
        taken[0] = time.time()
        call("SendTaskSuccess", {"taskToken": given["taskToken"], "output": "1"})
        done.set()

    for _ in range(count):
        done = threading.Event()
        threading.Thread(target=work, args=(done,)).start()
        time.sleep(0.02)  # it waits
        arn = call("StartExecution", {"stateMachineArn": machine["stateMachineArn"]})["executionArn"]
        done.wait()
        events = call("GetExecutionHistory", {"executionArn": arn})["events"]
        [queued] = [event for event in events if event["type"] == "ActivityScheduled"]
        latencies.append((taken[0] - queued["timestamp"]) * 1000)
    connection.close()
    middle = statistics.median(latencies)
    say("from an activity's task queued to the thread that has it", f"p50 {middle:.1f} ms", middle, ("<=", 2))


def _client(port: int, folder: Path) -> Any:
    from nbflow.server.inprocess import boto3_client
    from nbflow.server.keys import keys_in

    keys = keys_in(folder / "credentials")
    return boto3_client(
        f"http://127.0.0.1:{port}",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )


def _port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _process(*arguments: str) -> Iterator[None]:
    """A server in a process of its own, once it listens."""
    port = int(arguments[arguments.index("--port") + 1])
    running = subprocess.Popen(
        [sys.executable, *arguments], env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait()
