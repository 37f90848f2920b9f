"""Bytes in, bytes out: AWS JSON 1.0 as botocore reads it."""

import json
import logging
import uuid
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from nbflow.server.protocol import CONTENT_TYPE, LARGEST_REQUEST, Response, action_of, refused, respond
from nbflow.service.errors import ApiError
from tests.server.support import MACHINE, FakeService, error_of, headers, request

MODEL = ServiceModel(Loader().load_service_model("stepfunctions", "service-2"))


def read_by_botocore(response: Response, action: str) -> Any:
    """What a client makes of it."""
    given = {"status_code": response.status, "body": response.body, "headers": {name.lower(): value for name, value in response.headers.items()}}  # fmt: skip
    return create_parser("json").parse(given, MODEL.operation_model(action).output_shape)


def test_a_call_is_answered() -> None:
    service = FakeService()
    response = respond(request('{"maxResults": 5, "é": "é"}'.encode()), service.call)
    assert service.calls == [("ListStateMachines", {"maxResults": 5, "é": "é"})]
    assert response.status == 200
    assert response.headers["content-type"] == CONTENT_TYPE
    assert uuid.UUID(response.headers["x-amzn-RequestId"])
    parsed = read_by_botocore(response, "ListStateMachines")
    assert parsed["stateMachines"][0]["name"] == MACHINE["name"]
    assert parsed["stateMachines"][0]["creationDate"].timestamp() == MACHINE["creationDate"]
    assert parsed["ResponseMetadata"]["RequestId"] == response.headers["x-amzn-RequestId"]


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
def test_no_parameters(body: bytes) -> None:
    service = FakeService()
    assert respond(request(body), service.call).status == 200
    assert service.calls == [("ListStateMachines", {})]


@pytest.mark.parametrize(
    "kind", [CONTENT_TYPE, "application/x-amz-json-1.1", "Application/X-Amz-Json-1.0; charset=utf-8"]
)
def test_content_types(kind: str) -> None:
    assert action_of(request(headers=headers(content_type=kind))) == "ListStateMachines"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (request(method="GET"), "GET / is no call"),
        (request(path="/x"), "POST /x is no call"),
        (request(path="//"), "POST // is no call"),
        (request(query="a=b"), "is no call"),
        (request(headers=headers(content_type="application/json")), "the content type is application/json"),
        (request(headers=headers(content_type="text/plain")), "calls are application/x-amz-json-1.0"),
        (request(headers={}), "the content type is missing"),
        (request(headers={"content-type": CONTENT_TYPE}), "X-Amz-Target is missing; actions are AWSStepFunctions.NAME"),
        (request(headers=headers(x_amz_target="DynamoDB_20120810.PutItem")), "X-Amz-Target is DynamoDB_20120810.PutItem"),
        (request(headers=headers("NoSuchThing")), "NoSuchThing"),
        (request(headers=headers("")), "Unknown operation"),
    ],
)  # fmt: skip
def test_what_is_no_call(asked: Any, says: str) -> None:
    status, code, message = error_of(respond(asked, FakeService().call))
    assert (status, code) == (400, "UnknownOperationException")
    assert says in message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1 column 2"),
        (b"null", "no object"),
        (b"[1]", "no object"),
        (b'"text"', "no object"),
        (b"\xff\xfe", "utf-8"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b'{"a": 1} x', "Extra data"),
        (b"\x1f\x8b\x08\x00", "utf-8"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a":' + b"9" * 10_000 + b"}", "4300 digits"),
        (rb'{"a": "\ud800"}', "half of a surrogate pair"),
        (rb'{"\udc00": 1}', "half of a surrogate pair"),
    ],
)
def test_malformed_bodies(body: bytes, says: str) -> None:
    service = FakeService()
    status, code, message = error_of(respond(request(body), service.call))
    assert (status, code) == (400, "SerializationException")
    assert says in message
    assert service.calls == []


def test_a_surrogate_pair_is_a_character() -> None:
    service = FakeService()
    respond(request(rb'{"a": "\ud83d\ude00"}'), service.call)
    assert service.calls == [("ListStateMachines", {"a": "😀"})]


def test_a_body_has_a_largest_size() -> None:
    service = FakeService()
    largest = b'{"a":"' + b"x" * (LARGEST_REQUEST - 8) + b'"}'
    assert len(largest) == LARGEST_REQUEST
    assert respond(request(largest), service.call).status == 200
    status, code, message = error_of(respond(request(largest + b" "), service.call))
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert str(LARGEST_REQUEST) in message
    assert len(service.calls) == 1


def test_an_error_of_the_api_has_awss_code_and_words() -> None:
    response = respond(request(headers=headers("DescribeStateMachine")), FakeService().call)
    assert json.loads(response.body) == {
        "__type": "com.amazonaws.sfn#StateMachineDoesNotExist",
        "message": "State Machine Does Not Exist: 'x'",
    }
    parsed = read_by_botocore(response, "DescribeStateMachine")
    assert parsed["Error"] == {
        "Code": "StateMachineDoesNotExist",
        "Message": "State Machine Does Not Exist: 'x'",
    }


@pytest.mark.parametrize(
    ("action", "says", "hides"),
    [
        ("DescribeExecution", "unknown error", "a detail of ours"),
        ("StopExecution", "the disk is full", "Traceback"),
    ],
)
def test_a_failure_of_ours_is_told_without_its_traceback_and_logged_with_it(
    action: str, says: str, hides: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = respond(request(headers=headers(action)), FakeService().call)
    status, code, message = error_of(response)
    assert (status, code) == (500, "InternalFailure")
    assert says in message
    assert hides not in response.body.decode()
    assert f"request {response.headers['x-amzn-RequestId']} failed" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ValidationException", 400),
        ("InvalidSignatureException", 400),
        ("AccessDeniedException", 400),
        ("RequestTimeoutException", 408),
        ("RequestEntityTooLargeException", 413),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_the_status_of_a_code(code: str, status: int) -> None:
    assert error_of(refused(ApiError(code, "words", "a hint"))) == (status, code, "words")


def test_several_headers_of_one_name_are_joined() -> None:
    both = request()._replace(headers=(("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
    assert (both.header("x-a"), both.header("x-c")) == ("1,3", "")
