"""``nf.boto3_client``: a boto3 client that just works, with a server or without any.

Without one, botocore's hook before a request is sent answers it: the same bytes go through the same protocol code, and
only the socket and the signature are left out.
"""

import os
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from nbflow.client.connection import current
from nbflow.server.keys import file_beside, keys_in
from nbflow.server.protocol import Request, respond
from nbflow.service.arns import REGION

_LONGEST_ANSWER: Final = 310
"""Seconds: a synchronous execution may take five minutes (AWS, StartSyncExecution)."""

_ENDPOINT: Final = "AWS_ENDPOINT_URL_SFN"


def boto3_client(url: str | None = None, **options: Any) -> Any:
    """A client for Step Functions, as ``boto3.client("stepfunctions")`` makes it, for nbflow.

    ``url``: a server's, such as ``http://127.0.0.1:8083``; by default ``$AWS_ENDPOINT_URL_SFN`` (``nbflow env`` sets
    it), and without either this process itself, on the store of ``nf.connect``. The keys for a server are those of the
    environment if that is what named the server, else those beside the store. ``options`` are boto3's own.
    """
    session = botocore.session.Session()
    options.setdefault("region_name", REGION)
    given: Config | None = options.pop("config", None)
    if url is None and not os.environ.get(_ENDPOINT):
        alone = Config(
            signature_version=UNSIGNED, retries={"total_max_attempts": 1}, inject_host_prefix=False
        )
        client = session.create_client(
            "stepfunctions", config=alone.merge(given or Config()), endpoint_url="http://nbflow", **options
        )
        client.meta.events.register("before-send.sfn", _answer)
        return client
    if url is not None and "aws_access_key_id" not in options:
        keys = keys_in(file_beside(current().url))
        options |= {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
    patient = Config(inject_host_prefix=False, read_timeout=_LONGEST_ANSWER)
    return session.create_client(
        "stepfunctions", config=patient.merge(given or Config()), endpoint_url=url, **options
    )


def _answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    """What the server would answer."""
    body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
    address = urlsplit(request.url)
    headers = tuple((name.lower(), _text(value)) for name, value in request.headers.items())
    read = Request(request.method, address.path, address.query, headers, body)
    response = respond(read, lambda action, parameters: current().service.call(action, parameters))
    return AWSResponse(request.url, response.status, response.headers, _Raw(response.body))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Raw:
    """A body, as urllib3 would hand it over."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
