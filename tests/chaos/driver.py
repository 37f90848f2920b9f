"""The caller: stock boto3, on whichever server answers. It notes what it was told, for that must hold.

Each answer by a token is sent by two rivals at once, to two servers: one at most may be told that it was accepted.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nbflow.language.values import Json
from nbflow.service.arns import ROLE, execution_arn, machine_arn
from tests.chaos.samples import ACTIVITY, SAMPLES, input_of

_CONFIG: Final = Config(
    inject_host_prefix=False, retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=4
)
LOOK: Final = 0.2


class Unsure(Exception):
    """Nobody has answered: it may have been done or not."""


@dataclass
class Rivals:
    """Two who answer by one token."""

    execution: str
    accepted: list[Json] = field(default_factory=list)
    """Outputs of which the sender was told that they are accepted."""
    unsure: list[Json] = field(default_factory=list)
    """Outputs whose sender was told nothing, at least once."""


@dataclass
class Notes:
    """What the driver was told."""

    started: dict[str, str] = field(default_factory=dict)
    """The ARNs of executions that exist, and the names of their samples."""
    stopped: set[str] = field(default_factory=set)
    """ARNs of those that were stopped: StopExecution was answered."""
    redriven: set[str] = field(default_factory=set)
    tokens: dict[str, Rivals] = field(default_factory=dict)
    told_ended: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """What an execution that is not to be redriven was said to have ended with, the first time."""


class Driver:
    """Starts, answers, stops and redrives, on threads of its own, until it is closed."""

    def __init__(self, folder: Path, urls: list[str], seed: int, executions: int) -> None:
        self.notes = Notes()
        self._folder = folder
        self._chance = random.Random(seed)
        self._names = [
            f"{kind}-{seed}-{number}" for number, kind in zip(range(executions), _kinds(), strict=False)
        ]
        self._clients = [_client(url) for url in urls]
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(16, "driver")
        self._errors: list[BaseException] = []

    def make_machines(self) -> None:
        """Create the machine of each sample, and the activity."""
        self.ask("create_activity", name=ACTIVITY)
        for name, sample in SAMPLES.items():
            text = json.dumps(sample.definition)
            self.ask("create_state_machine", name=name, roleArn=ROLE, definition=text)

    def begin(self, seconds: float) -> None:
        """Start the executions over so many seconds; answer, stop and redrive whenever it is time."""
        self._pool.submit(self._guarded, lambda: self._start_all(seconds))
        self._pool.submit(self._guarded, self._answer_all)

    def wait_for_all(self, seconds: float) -> list[str]:
        """Wait until all executions have ended as they must; the names of those that have not after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            self.check()
            left = [name for name in self._names if not self._has_ended(name)]
            if not left or time.monotonic() > until:
                return left
            time.sleep(LOOK)

    def check(self) -> None:
        """Raise what a thread of the driver has raised."""
        if self._errors:
            raise self._errors[0]

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    # --- calls

    def ask(self, method: str, **parameters: Any) -> Any:
        """Call until somebody answers."""
        while True:
            with suppress(Unsure):
                return self.ask_one(self._any(), method, **parameters)
            if self._closed.wait(LOOK):
                raise Unsure(method)

    def ask_one(self, client: Any, method: str, **parameters: Any) -> Any:
        """Call once. Raises Unsure if there is no answer, and ClientError for a no."""
        try:
            return getattr(client, method)(**parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise Unsure(str(error)) from error
            raise
        except BotoCoreError as error:
            raise Unsure(str(error)) from error

    def history(self, arn: str) -> list[Any]:
        """All events of an execution."""
        found, token = list[Any](), dict[str, str]()
        while True:
            page = self.ask("get_execution_history", executionArn=arn, maxResults=1000, **token)
            found += page["events"]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    def _any(self) -> Any:
        with self._lock:
            return self._chance.choice(self._clients)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Unsure:
            if not self._closed.is_set():
                raise
        except BaseException as error:
            self._errors.append(error)
            raise

    # --- start, stop, redrive

    def _start_all(self, seconds: float) -> None:
        for name in self._names:
            if self._closed.wait(seconds / len(self._names)):
                return
            self._pool.submit(self._guarded, lambda name=name: self._start(name))  # type: ignore[misc]

    def _start(self, name: str) -> None:
        kind = name.partition("-")[0]
        arn = execution_arn(kind, name)
        input = json.dumps(input_of(str(self._folder)))
        try:
            self.ask("start_execution", stateMachineArn=machine_arn(kind), name=name, input=input)
        except ClientError as error:  # it was started by a call whose answer was lost, and has ended
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
        self.notes.started[arn] = kind
        if SAMPLES[kind].treatment == "stop":
            with self._lock:
                pause = self._chance.uniform(0, 4)
            if not self._closed.wait(pause):
                self.ask("stop_execution", executionArn=arn)
                self.notes.stopped.add(arn)

    def _has_ended(self, name: str) -> bool:
        """Whether it has ended as it must; one that failed and is to be redriven, is."""
        kind = name.partition("-")[0]
        arn = execution_arn(kind, name)
        if arn in self.notes.told_ended:
            return True
        if arn not in self.notes.started:
            return False
        try:
            found = self.ask_one(self._any(), "describe_execution", executionArn=arn)
        except Unsure:
            return False
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return True  # it is lost; the checker says so
        status = found["status"]
        if status == "FAILED" and SAMPLES[kind].treatment == "redrive" and not found["redriveCount"]:
            with suppress(Unsure):
                self._redrive(arn)
            return False
        if status != "RUNNING":
            self.notes.told_ended[arn] = (status, found.get("output"))
        return bool(status != "RUNNING")

    def _redrive(self, arn: str) -> None:
        try:
            self.ask_one(self._any(), "redrive_execution", executionArn=arn, clientToken="once")
        except ClientError as error:  # a call whose answer was lost has redriven it
            if error.response["Error"]["Code"] != "ExecutionNotRedrivable":
                raise
        self.notes.redriven.add(arn)

    # --- answers

    def _answer_all(self) -> None:
        """Read the tokens that the function ``ask`` has handed on, and have each answered by two at once."""
        read = 0
        while not self._closed.wait(LOOK):
            file = self._folder / "tokens"
            lines = file.read_text().splitlines() if file.exists() else []
            for line in lines[read:]:
                execution, _, token = line.split("\t")
                if token not in self.notes.tokens:
                    rivals = self.notes.tokens[token] = Rivals(execution)
                    self._pool.submit(self._guarded, lambda t=token, r=rivals: self._answer(t, r))  # type: ignore[misc]
            read = len(lines)

    def _answer(self, token: str, rivals: Rivals) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(lambda who=who: self._claim(token, rivals, who),))
            for who in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _claim(self, token: str, rivals: Rivals, who: int) -> None:
        output: Json = [rivals.execution, who]
        while not self._closed.is_set():
            try:
                self.ask_one(self._any(), "send_task_success", taskToken=token, output=json.dumps(output))
            except Unsure:
                rivals.unsure.append(output)
                if self._closed.wait(LOOK):
                    return
                continue
            except ClientError as error:
                if error.response["Error"]["Code"] != "TaskTimedOut":
                    raise
                return
            rivals.accepted.append(output)
            return


def _kinds() -> Any:
    while True:
        yield from SAMPLES


def _client(url: str) -> Any:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    return boto3.client("stepfunctions", endpoint_url=url, config=_CONFIG, **keys)
