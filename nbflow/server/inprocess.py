"""``nf.boto3_client``: a boto3 client that just works, with a server or without any.

Without one, botocore's hook before a request is sent answers it: the same bytes go through the same protocol code, and
only the socket and the signature are left out.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from nbflow.client.connection import current, store_url
from nbflow.server.keys import file_beside, keys_in
from nbflow.server.protocol import Call, Request, respond
from nbflow.service.arns import REGION

ENDPOINT: Final = "AWS_ENDPOINT_URL_SFN"
"""The variable that leads AWS clients to a server (AWS, "Service-specific endpoints")."""

_LONGEST_ANSWER: Final = 310
"""Seconds: a synchronous execution may take five minutes (AWS, StartSyncExecution)."""


def boto3_client(url: str | None = None, **options: Any) -> Any:
    """A client for Step Functions, as ``boto3.client("stepfunctions")`` makes it, for nbflow.

    ``url``: a server's, such as ``http://127.0.0.1:8083``; by default ``$AWS_ENDPOINT_URL_SFN`` (``nbflow env`` sets
    it), and without either this process itself, on the store of ``nf.connect``. The keys for a server are those of the
    environment if that is what named the server, or if there are none beside the store. ``options`` are boto3's own.
    """
    if url is None and not os.environ.get(ENDPOINT):
        return local_client(lambda action, parameters: current().service.call(action, parameters), **options)
    file = keys_file(url)
    if file is not None and "aws_access_key_id" not in options:
        keys = keys_in(file)
        options |= {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
    patient = Config(inject_host_prefix=False, read_timeout=_LONGEST_ANSWER)
    return _client(patient, url, options)


def keys_file(url: str | None) -> Path | None:
    """Where the keys for a server lie: beside the store. None: they are the environment's."""
    if url is None or url == os.environ.get(ENDPOINT):
        return None
    file = file_beside(store_url())
    return file if file.exists() else None


def local_client(call: Call, **options: Any) -> Any:
    """A client whose requests are answered by ``call``, without any socket. ``options`` are boto3's own."""
    alone = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, inject_host_prefix=False)
    client = _client(alone, "http://nbflow", options)
    client.meta.events.register("before-send.sfn", lambda request, **_: _answer(request, call))
    return client


def _client(config: Config, url: str | None, options: dict[str, Any]) -> Any:
    given: Config = options.pop("config", None) or Config()
    options.setdefault("region_name", REGION)
    session = botocore.session.Session()
    return session.create_client("stepfunctions", config=config.merge(given), endpoint_url=url, **options)


def _answer(request: AWSPreparedRequest, call: Call) -> AWSResponse:
    """What the server would answer."""
    body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
    address = urlsplit(request.url)
    headers = tuple((name.lower(), _text(value)) for name, value in request.headers.items())
    response = respond(Request(request.method, address.path, address.query, headers, body), call)
    return answer_of(request, response.status, response.headers, response.body)


def answer_of(
    request: AWSPreparedRequest, status: int, headers: Mapping[str, str], body: bytes
) -> AWSResponse:
    """The answer to a request, for botocore to read."""
    return AWSResponse(request.url, status, headers, _Raw(body))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Raw:
    """A body, as urllib3 would hand it over."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
