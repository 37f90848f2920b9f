"""The worker of ``activity_worker.ipynb``: plain boto3, which knows nothing of nbflow.

    python delay_worker.py ACTIVITY_ARN NAME [SECONDS]

It needs the address and the keys of the API, which ``nbflow env`` prints, and outbound HTTP. SECONDS is how long it
takes for a task: a machine may be slow.
"""

import json
import sys
import threading
import time
from collections import defaultdict

import boto3
from botocore.config import Config

LATE = 15
"""Minutes."""

HEARTBEAT = 1.0
"""Seconds between two signs of life: a third of the state's HeartbeatSeconds."""


def delays(flights: list[dict]) -> dict:
    """How many flights there were, how many were late, and who was latest on average."""
    by_carrier = defaultdict(list)
    for flight in flights:
        by_carrier[flight["carrier"]].append(flight["arr_delay"])
    return {
        "flights": len(flights),
        "late": sum(flight["arr_delay"] >= LATE for flight in flights),
        "latest": max(by_carrier, key=lambda carrier: sum(by_carrier[carrier]) / len(by_carrier[carrier])),
    }


def work(sfn, activity: str, name: str, seconds: float) -> None:
    """Ask for a task, do it, answer, for ever. A poll waits up to a minute for a task."""
    while True:
        task = sfn.get_activity_task(activityArn=activity, workerName=name)
        if not task.get("taskToken"):
            continue
        given = json.loads(task["input"])
        print(f"{name} has taken {given['day']}", flush=True)
        done = threading.Event()
        threading.Thread(target=stay_alive, args=(sfn, task["taskToken"], done), daemon=True).start()
        time.sleep(seconds)
        try:
            result = json.dumps(delays(given["flights"]))
        except Exception as error:  # noqa: BLE001  # whatever it is, whoever waits for the task must know
            done.set()
            sfn.send_task_failure(taskToken=task["taskToken"], error=type(error).__name__, cause=str(error))
        else:
            done.set()
            sfn.send_task_success(taskToken=task["taskToken"], output=result)


def stay_alive(sfn, token: str, done: threading.Event) -> None:
    """Send heartbeats until the task is done."""
    while not done.wait(HEARTBEAT):
        sfn.send_task_heartbeat(taskToken=token)


if __name__ == "__main__":
    activity, name, *seconds = sys.argv[1:]
    work(
        boto3.client("stepfunctions", config=Config(read_timeout=70)), activity, name, float(*seconds or [0])
    )
