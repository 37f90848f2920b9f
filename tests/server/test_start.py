"""``nbflow server`` and ``nbflow env`` in real processes: what they print, serve, refuse, and how they end."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nbflow as nf
from nbflow.cli import main
from nbflow.server import start
from nbflow.server.inprocess import boto3_client
from nbflow.server.keys import Keys, keys_in
from nbflow.service.resuming import Resumer
from nbflow.store.rows import ExecutionRow
from tests.server.support import client

NBFLOW = [sys.executable, "-m", "nbflow.cli"]
LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"
ROLE = "arn:aws:iam::000000000000:role/x"

TASKS = """
import threading
import nbflow as nf

LOCK = threading.Lock()

@nf.task
def double(number: int) -> int:
    return 2 * number

def guarded(input):
    with LOCK:
        return input

def endless(input):
    import pathlib, time
    pathlib.Path("begun").touch()
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "work.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    return tmp_path


class Running:
    """A server process, from its banner on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        self.banner = ""
        while "Ctrl-C ends" not in self.banner:  # its last line
            line = process.stderr.readline()
            assert line, self.banner
            self.banner += line
        found = re.search(r"Step Functions at (\S+)", self.banner)
        assert found is not None
        self.url = found[1]

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code, and what it said at last."""
        self.process.send_signal(number)
        _, last = self.process.communicate(timeout=60)
        return self.process.returncode, last


@contextmanager
def started(*options: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [*NBFLOW, "server", "--port", "0", *options], stderr=subprocess.PIPE, text=True
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def make_machine(sfn: Any, function: str) -> str:
    state = {"Type": "Task", "Resource": LAMBDA + function, "End": True}
    definition = json.dumps({"StartAt": "Work", "States": {"Work": state}})
    arn: str = sfn.create_state_machine(name=function, roleArn=ROLE, definition=definition)["stateMachineArn"]
    return arn


def ended(sfn: Any, execution: str) -> Any:
    """Its description, as soon as it has ended: the API has nothing to wait by."""
    while (found := sfn.describe_execution(executionArn=execution))["status"] == "RUNNING":
        pass
    return found


def test_a_day_of_a_server(folder: Path) -> None:
    """Banner, keys, a task from a file, `nbflow env`, and the end while a task runs."""
    with started("--tasks", "work.py") as server:
        assert (
            f"store sqlite:///{folder}/.nbflow/nbflow.sqlite, keys in {folder}/.nbflow/credentials"
            in server.banner
        )
        assert "guarded of work.py cannot be a task" in server.banner
        port = server.url.rpartition(":")[2]
        command = re.search(r'eval "\$\((.*)\)"', server.banner)
        assert command is not None
        assert command[1] == f"nbflow env --port {port}"
        printed = subprocess.run(
            [*NBFLOW, *shlex.split(command[1])[1:]], capture_output=True, text=True, check=True
        ).stdout
        exported = dict(
            line.removeprefix("export ").split("=", 1) for line in printed.splitlines() if "=" in line
        )
        keys = keys_in(folder / ".nbflow" / "credentials")
        assert exported["AWS_ENDPOINT_URL_SFN"] == server.url
        assert Keys(exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"]) == keys

        sfn = client(server.url, keys)
        done = sfn.start_execution(stateMachineArn=make_machine(sfn, "double"), input='{"number": 4}')
        assert ended(sfn, done["executionArn"])["output"] == "8"

        left = sfn.start_execution(stateMachineArn=make_machine(sfn, "endless"), name="left")["executionArn"]
        while not (folder / "begun").exists():
            assert sfn.describe_execution(executionArn=left)["status"] == "RUNNING"
        code, last = server.end()
    assert code == 0
    assert "the server has ended" in last
    assert "left as last recorded: left" in last
    assert "Traceback" not in last
    assert nf.execution("left").status == "RUNNING"


def test_sigterm_ends_it_too() -> None:
    with started() as server:
        code, last = server.end(signal.SIGTERM)
    assert (code, last) == (0, "nbflow: the server has ended\n")


def test_without_keys_and_with_a_mock_configuration(folder: Path) -> None:
    cases = {
        "StateMachines": {"charge": {"TestCases": {"Declined": {"Work": "No"}}}},
        "MockedResponses": {"No": {"0": {"Throw": {"Error": "Declined", "Cause": "no funds"}}}},
    }
    (folder / "mock.json").write_text(json.dumps(cases))
    with started("--no-auth", "--mock-config", "mock.json") as server:
        assert "nobody is asked for keys (--no-auth)" in server.banner
        sfn = client(server.url, Keys("any", "thing"))
        arn = make_machine(sfn, "charge")
        execution = sfn.start_execution(stateMachineArn=f"{arn}#Declined")["executionArn"]
        assert ended(sfn, execution)["error"] == "Declined"
    assert not (folder / ".nbflow" / "credentials").exists()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().err).split())


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--no-auth", "--host", "0.0.0.0"], 1, "--no-auth is for this machine alone, and 0.0.0.0 can be reached from others"),
        (["--no-auth", "--host", "::"], 1, "--no-auth is for this machine alone"),
        (["--host", "no such host"], 1, "there is no host 'no such host' here"),
        (["--port", "70000"], 2, "less than or equal to 65535"),
        (["--tasks", "none.py"], 2, "there is no file none.py"),
        (["--tasks", "work.py", "--tasks", "work.py"], 2, "work.py defines 'double' a second time"),
        (["--mock-config", "none.json"], 1, "none.json"),
    ],
)  # fmt: skip
def test_mistakes(options: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, text = refused(capsys, "server", *options)
    assert found == code
    assert says in text
    assert "Traceback" not in text


def test_a_taken_port_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = refused(capsys, "server", "--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in text
    assert "Step Functions at" not in text


def test_keys_that_others_can_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nf.connect()
    keys_in(folder / ".nbflow" / "credentials")
    os.chmod(folder / ".nbflow" / "credentials", 0o644)
    for command in ("server", "env"):
        code, text = refused(capsys, command)
        assert code == 1
        assert "may be read by others (mode 0644)" in text


def test_env_of_another_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["env", "--store", f"sqlite:///{folder}/else/s.sqlite", "--port", "9000"])
    keys = keys_in(folder / "else" / "credentials")
    printed = capsys.readouterr().out
    assert f"export AWS_SECRET_ACCESS_KEY={shlex.quote(keys.secret_key)}\n" in printed
    assert "export AWS_ENDPOINT_URL_SFN=http://127.0.0.1:9000\n" in printed


def test_the_client_in_process_follows_the_connection(folder: Path) -> None:
    sfn = boto3_client()
    for name in ("one", "other"):
        nf.connect(f"sqlite:///{folder / name}.sqlite")
        definition = '{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}'
        arn = sfn.create_state_machine(name=name, roleArn=ROLE, definition=definition)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=arn, input='{"a": 1}')["executionArn"]
        assert json.loads(ended(sfn, execution)["output"]) == {"a": 1}
        assert [each["name"] for each in sfn.list_state_machines()["stateMachines"]] == [name]


def test_a_server_that_was_killed_is_followed_by_one_that_goes_on(folder: Path) -> None:
    gate = folder / "open"
    (folder / "slow.py").write_text(
        "def slow(input):\n    import pathlib, time\n    pathlib.Path('begun').touch()\n"
        f"    while not pathlib.Path({str(gate)!r}).exists():\n        time.sleep(0.01)\n    return input\n"
    )
    options = ("--tasks", "slow.py")
    with started(*options) as server:
        sfn = client(server.url, keys_in(folder / ".nbflow" / "credentials"))
        running = sfn.start_execution(stateMachineArn=make_machine(sfn, "slow"), input="[7]")["executionArn"]
        while not (folder / "begun").exists():
            pass
        server.process.kill()
        server.process.wait()
    gate.touch()
    with started(*options) as server:
        sfn = client(server.url, keys_in(folder / ".nbflow" / "credentials"))
        assert ended(sfn, running)["output"] == "[7]"
        assert "goes on with the interrupted execution" in server.end()[1]


def test_a_server_says_what_it_goes_on_with_and_what_it_only_tidies_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = nf.connect(f"sqlite:///{folder / 's.sqlite'}")
    row = ExecutionRow("arn:left", "left", "arn:m", "d", "RUNNING", "{}", 1.0)
    rows = [row, replace(row, name="over", status="ABORTED")]
    monkeypatch.setattr(Resumer, "look", lambda _: (rows, {}))
    ended = threading.Event()
    ended.set()
    start._resume(connection, ended)
    assert capsys.readouterr().err.splitlines() == [
        "nbflow: goes on with the interrupted execution left",
        "nbflow: tidies up after the execution over, which is ABORTED",
    ]
