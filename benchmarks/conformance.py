"""``make conformance``: AWS's recorded answers, played against this server, and the page that tells the score.

    python -m benchmarks.conformance          writes docs/conformance.md, and the score in README.md

The recordings lie in ``../shared/conformance``, or where ``NBFLOW_CONFORMANCE`` says; they are never copied. Their
runner is a program of its own that speaks to the server with stock boto3.
"""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, Final

from benchmarks.s3 import s3_server

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

    with tempfile.TemporaryDirectory() as folder, s3_server() as s3:
        mocks, report = Path(folder, "mocks.json"), Path(folder, "report.json")
        _run(recordings, "--write-mock-config", str(mocks))
        connection = Connection(f"sqlite:///{folder}/store.sqlite", limits="aws")
        connection.service.mocks = mock_config.read(mocks)
        listener = listen("127.0.0.1", 0)
        urls = ("--endpoint-url", f"http://127.0.0.1:{listener.getsockname()[1]}", "--s3-endpoint-url", s3)
        before = dict(os.environ)
        os.environ.update(KEYS, AWS_ENDPOINT_URL_S3=s3)  # the server is this process
        try:
            with serving(make_app(connection.service.call, for_local_names), listener):
                _run(recordings, *urls, "--report", str(report), "--show", "0")
        finally:
            connection.close()
            os.environ.clear()
            os.environ.update(before)
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


BEGIN, END = "<!-- score -->", "<!-- /score -->"


def with_score(readme: str, score: Score) -> str:
    """The README with the score between its two marks."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    whole, sum_ = [], total(score)
    short = []
    for category in sorted(score):
        passed = {level: f"{each[0]}/{each[1]}" for level, each in score[category].items() if each[1]}
        if all(each[0] == each[1] for each in score[category].values()):
            whole.append(f"{category} {passed['L1']}")
        else:
            short.append(f"{category} " + ", ".join(f"{level} {text}" for level, text in passed.items()))
    lines = [
        " · ".join(f"**{level}** {_cell(*sum_[level])}" for level in LEVELS) + ".",
        f"Everything right in {', '.join(whole)}.",
        *([f"Not everything in {'; '.join(short)}."] if short else []),
    ]
    return f"{head}{BEGIN}\n" + "\n".join(textwrap.fill(line, 118) for line in lines) + f"\n{END}{tail}"


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

A moto server on this machine stands in for S3. The server runs with AWS's quotas (`nbflow server`'s default).

Each case that is answered otherwise, and why:

- *test_start_execution_idempotent* (api): the recorded execution sends a message to a real SQS queue and waits for its
  token, so it is still running when it is started again. Here nothing is bound to `sqs:sendMessage`, and the execution
  fails in some milliseconds, in words; a name whose execution has ended is taken, on AWS too. So this case passes if
  the second start is quick enough, and is not counted on. (The rule itself has its own tests.)
- *test_map_state_label_too_long_fail* (api), the message only: the code is AWS's, InvalidDefinition. The recorded text
  is an exception of AWS's own making with the whole definition in it; nbflow says which field is wrong, and where.
- *test_lambda_invoke_with_retry_extended_input* (retry_catch), L2: the recording is older than redrive, so its context
  object has no `Execution.RedriveCount`. AWS's guide has it now, and so has nbflow.

The recordings hold no RedriveExecution, UpdateMapRun or StopExecution race, one TIMED_OUT and one ParallelStateFailed.
Those are tested by tables whose rows name the paragraph of AWS's documentation: `tests/machine/test_redrive.py`,
`tests/service/test_map_runs.py`, `tests/service/test_api_executions.py`, `tests/machine/test_states.py`.
"""


def main() -> None:
    recordings = corpus()
    if recordings is None:
        raise SystemExit(
            "there are no recordings in ../shared/conformance; NBFLOW_CONFORMANCE names another place"
        )
    score = play(recordings)
    PAGE.write_text(page(score), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_score(readme.read_text(encoding="utf-8"), score), encoding="utf-8")
    print(", ".join(f"{level}: {_cell(*passed)}" for level, passed in total(score).items()))


if __name__ == "__main__":
    main()
