"""What `eval "$(nbflow env)"` does to a shell."""

import json
import subprocess
import sys

import pytest

from nbflow.server.environment import exports, url_of
from nbflow.server.keys import Keys


def test_a_shell_gets_all_that_clients_need() -> None:
    text = exports("http://127.0.0.1:8083", Keys("NBFLOWA", "it's $HOME"))
    show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shell = subprocess.run(
        ["/bin/sh", "-c", f"{text}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
        env={"AWS_SESSION_TOKEN": "x"},
    )
    found = {name: value for name, value in json.loads(shell.stdout).items() if name.startswith("AWS_")}
    assert found == {
        "AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:8083",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_ACCESS_KEY_ID": "NBFLOWA",
        "AWS_SECRET_ACCESS_KEY": "it's $HOME",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8083"),
        ("localhost", "http://localhost:8083"),
        ("0.0.0.0", "http://127.0.0.1:8083"),
        ("", "http://127.0.0.1:8083"),
        ("::1", "http://[::1]:8083"),
        ("::", "http://[::1]:8083"),
    ],
)
def test_where_clients_find_it(host: str, url: str) -> None:
    assert url_of(host, 8083) == url
