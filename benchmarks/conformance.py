"""``make conformance``: AWS's recorded answers, played against this server, and the page that tells the score.

    python -m benchmarks.conformance          writes docs/conformance.md

The recordings lie in ``../shared/conformance``, or where ``NBFLOW_CONFORMANCE`` says; they are never copied. Their
runner is a program of its own that speaks to the server with stock boto3.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "conformance.md"
LEVELS: Final = ("L1", "cause", "L2", "L3")
KEYS: Final = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}

Score = dict[str, dict[str, tuple[int, int]]]
"""By category and level: how many cases pass, of how many."""


def corpus() -> Path | None:
    """Where the recordings lie, if they are there."""
    folder = Path(os.environ.get("NBFLOW_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
    return folder if (folder / "run.py").exists() else None


def play(recordings: Path) -> Score:
    """Play every case against a server of our own, and say how many pass."""
    from nbflow.client.connection import Connection
    from nbflow.server.app import for_local_names, make_app
    from nbflow.server.serve import listen, serving
    from nbflow.testing import mock_config

    with tempfile.TemporaryDirectory() as folder:
        mocks, report = Path(folder, "mocks.json"), Path(folder, "report.json")
        _run(recordings, "--write-mock-config", str(mocks))
        connection = Connection(f"sqlite:///{folder}/store.sqlite")
        connection.service.mocks = mock_config.read(mocks)
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with serving(make_app(connection.service.call, for_local_names), listener):
                _run(recordings, "--endpoint-url", url, "--report", str(report), "--show", "0")
        finally:
            connection.close()
        summary: dict[str, Any] = json.loads(report.read_text())["summary"]
    return {
        category: {level: (score[level][0], score[level][1]) for level in LEVELS}
        for category, score in summary.items()
        if category != "total"
    }


def _run(recordings: Path, *arguments: str) -> None:
    command = [sys.executable, str(recordings / "run.py"), *arguments]
    subprocess.run(command, check=True, env={**os.environ, **KEYS}, stdout=subprocess.DEVNULL)


def total(score: Score) -> dict[str, tuple[int, int]]:
    """Over all categories, by level."""
    return {
        level: (
            sum(each[level][0] for each in score.values()),
            sum(each[level][1] for each in score.values()),
        )
        for level in LEVELS
    }


def page(score: Score) -> str:
    """The score as a page of the docs."""
    rows = [(category, score[category]) for category in sorted(score)] + [("**all**", total(score))]
    lines = [f"| {name} | {' | '.join(_cell(*each[level]) for level in LEVELS)} |" for name, each in rows]
    return TEXT.format(table="\n".join(lines))


def _cell(passed: int, cases: int) -> str:
    return f"{passed} of {cases} ({passed / cases:.1%})" if cases else ""


TEXT: Final = """# Conformance

What AWS Step Functions itself answered to some 900 definitions and calls was recorded; this is how many of them
nbflow's server answers alike. `make conformance` plays them and writes this page. L1 is status, output and error (or
the error code of a call); *cause* is the text of the cause too; L2 the whole event history with states, inputs,
outputs and parameters; L3 also the ids and the kinds of numbers.

| category | L1 | cause | L2 | L3 |
|---|---|---|---|---|
{table}

Cases that read from S3 are left out.

What is missing, and why:

- **activities, callbacks**, and the cases of *api*, *mocking* and *timeouts* that use them: activities and task
  tokens (GetActivityTask, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat) are not there yet.
- **distributed_map** at L2: a distributed Map gives the right result, but runs like an inline one, without the events
  of a Map Run.
- A state's result of more than 256 KiB succeeds here, and is States.DataLimitExceeded on AWS.
- UpdateMapRun is not there yet. The recordings hold neither it nor RedriveExecution, which follows AWS's pages.
"""


def main() -> None:
    recordings = corpus()
    if recordings is None:
        raise SystemExit(
            "there are no recordings in ../shared/conformance; NBFLOW_CONFORMANCE names another place"
        )
    score = play(recordings)
    PAGE.write_text(page(score), encoding="utf-8")
    print(", ".join(f"{level}: {_cell(*passed)}" for level, passed in total(score).items()))


if __name__ == "__main__":
    main()
