"""The variables that lead a stock AWS client to this server."""

import shlex
from typing import Final

from nbflow.server.keys import Keys
from nbflow.service.arns import REGION

PORT: Final = 8083
"""Where the server listens by default (as AWS Step Functions Local does)."""


def variables(url: str, keys: Keys) -> dict[str, str]:
    """What boto3, the AWS CLI and the other SDKs read.

    For StartSyncExecution and TestState they put ``sync-`` before the host's name, which then does not resolve;
    AWS_DISABLE_HOST_PREFIX_INJECTION keeps them from it.
    """
    return {
        "AWS_ENDPOINT_URL_SFN": url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def exports(url: str, keys: Keys) -> str:
    """Lines for ``eval`` in a shell. A session token would belong to other keys."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(url, keys).items()]
    return "\n".join([*lines, "unset AWS_SESSION_TOKEN"])


def url_of(host: str, port: int) -> str:
    """Where clients on this machine find a server that listens there."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
