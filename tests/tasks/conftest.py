"""An S3 for tests: moto's server on a loopback port, reached as users reach theirs, by the AWS_* variables."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.s3 import s3_server


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of a server for the whole session."""
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 client; the variables by which one is made without arguments are set too."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.session.Session().client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of one's own."""
    name = f"bucket-{uuid4()}"
    s3.create_bucket(Bucket=name)
    return name
