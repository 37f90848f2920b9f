"""What botocore has signed passes; nothing else does."""

import re
import string
import time
from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.server import sigv4
from nbflow.server.keys import Keys
from nbflow.server.protocol import Request, action_of
from nbflow.service.errors import ApiError
from tests.server.support import KEYS, changed, headers, request, signed

SIGNED = signed(request(b'{"maxResults": 3}'))
MISMATCH = sigv4._MISMATCH


def signed_at(given: Request) -> float:
    return float(timegm(time.strptime(given.header("x-amz-date"), "%Y%m%dT%H%M%SZ")))


def passes(given: Request, now: float) -> bool:
    """Whether the server would do it: it is a call, and it is signed."""
    try:
        action_of(given)
        sigv4.verify(given, KEYS, now)
    except ApiError:
        return False
    return True


def refusal(given: Request, now: float | None = None) -> tuple[str, str]:
    with pytest.raises(ApiError) as refused:
        sigv4.verify(given, KEYS, signed_at(SIGNED) if now is None else now)
    return refused.value.code, refused.value.message


def authorization(**parts: str) -> Request:
    """The signed request with other parts of its Authorization."""
    text = SIGNED.header("authorization")
    for name, value in parts.items():
        text = re.sub(rf"{name}=[^,]*", lambda _, to=f"{name}={value}": to, text)  # type: ignore[misc]
    return changed(SIGNED, "authorization", text)


SCOPE = SIGNED.header("x-amz-date")[:8]
STAMP = SIGNED.header("x-amz-date")
NAMES = "content-type;host;x-amz-date;x-amz-target"


def test_what_is_signed_passes() -> None:
    sigv4.verify(SIGNED, KEYS, signed_at(SIGNED))


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (request(), "MissingAuthenticationTokenException", "Missing Authentication Token"),
        (changed(SIGNED, "authorization", "Bearer abc"), "MissingAuthenticationTokenException", "Missing Authentication Token"),
        (changed(SIGNED, "authorization", "AWS4-HMAC-SHA25 a=b"), "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). "),
        (changed(SIGNED, "authorization", "AWS4-HMAC-SHA256"), "IncompleteSignatureException", "'' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256'."),
        (changed(SIGNED, "authorization", "AWS4-HMAC-SHA256 Credential=a"), "IncompleteSignatureException", "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Credential=a"),
        (changed(SIGNED, "authorization", "AWS4-HMAC-SHA256 Credential=a, Credential=b"), "IncompleteSignatureException", "repeated parameter 'Credential=a'"),
        (changed(SIGNED, "authorization", "AWS4-HMAC-SHA256 Colour=a"), "IncompleteSignatureException", "unknown or repeated parameter 'Colour=a'"),
        (changed(SIGNED, "x-amz-date", None), "IncompleteSignatureException", "requires existence of a 'X-Amz-Date' header. Authorization="),
        (changed(SIGNED, "x-amz-date", "2026"), "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '2026'. See http://en.wikipedia.org/wiki/ISO_8601"),
        (changed(SIGNED, "x-amz-date", "20261399T000000Z"), "IncompleteSignatureException", "Got '20261399T000000Z'"),
        (authorization(Credential="a/b/c/d"), "IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'"),
        (authorization(Credential=f"{KEYS.access_key}/{SCOPE}/eu-west-3/sqs/aws4_request"), "InvalidSignatureException", "Credential should be scoped to correct service: 'states'. "),
        (authorization(Credential=f"{KEYS.access_key}/{SCOPE}//states/aws4_request"), "InvalidSignatureException", "Credential should be scoped to a valid region. "),
        (authorization(Credential=f"{KEYS.access_key}/{SCOPE}/eu-west-3/states/aws5_request"), "InvalidSignatureException", "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. "),
        (authorization(Credential=f"{KEYS.access_key}/19991231/eu-west-3/states/aws4_request"), "InvalidSignatureException", f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '19991231' != '{SCOPE}', from '{STAMP}'."),
        (authorization(Credential=f"AKIAIOSFODNN7EXAMPLE/{SCOPE}/eu-west-3/states/aws4_request"), "UnrecognizedClientException", "The security token included in the request is invalid."),
        (authorization(Credential=f"{KEYS.access_key}/{SCOPE}/us-east-1/states/aws4_request"), "InvalidSignatureException", MISMATCH),
        (authorization(Signature="0" * 64), "InvalidSignatureException", MISMATCH),
        (authorization(Signature="ü"), "InvalidSignatureException", MISMATCH),
        (authorization(SignedHeaders="content-type;x-amz-date;x-amz-target"), "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        (authorization(SignedHeaders="content-type;host;x-amz-date"), "InvalidSignatureException", "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."),
        (authorization(SignedHeaders="content-type;host;x-amz-target"), "InvalidSignatureException", "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."),
        (authorization(SignedHeaders=f"{NAMES};x-gone"), "InvalidSignatureException", MISMATCH),
        (authorization(SignedHeaders="host;content-type;x-amz-date;x-amz-target"), "IncompleteSignatureException", "in order"),
        (authorization(SignedHeaders="content-type;Host;x-amz-date;x-amz-target"), "IncompleteSignatureException", "lower case"),
        (authorization(SignedHeaders="content-type;host;host;x-amz-date;x-amz-target"), "IncompleteSignatureException", "in order"),
        (signed(request(headers=headers(x_amz_security_token="session"))), "UnrecognizedClientException", "The security token included in the request is invalid."),
        (signed(request(headers=headers(x_amz_content_sha256="UNSIGNED-PAYLOAD"))), "InvalidSignatureException", MISMATCH),
        (SIGNED._replace(body=b'{"maxResults": 4}'), "InvalidSignatureException", MISMATCH),
        (SIGNED._replace(method="PUT"), "InvalidSignatureException", MISMATCH),
        (SIGNED._replace(path="/x"), "InvalidSignatureException", MISMATCH),
        (signed(request(), Keys(KEYS.access_key, "another secret")), "InvalidSignatureException", MISMATCH),
        (signed(request(), Keys("NBFLOWOTHERKEY", KEYS.secret_key)), "UnrecognizedClientException", "The security token included in the request is invalid."),
        (signed(request(), service="sqs"), "InvalidSignatureException", "Credential should be scoped to correct service: 'states'. "),
        (changed(SIGNED, "x-amz-target", "AWSStepFunctions.StopExecution"), "InvalidSignatureException", MISMATCH),
    ],
)  # fmt: skip
def test_refusals(given: Request, code: str, says: str) -> None:
    found, message = refusal(given)
    assert found == code
    assert says in message


@pytest.mark.parametrize("skew", [-sigv4.SKEW, 0, sigv4.SKEW])
def test_clocks_may_differ(skew: int) -> None:
    sigv4.verify(SIGNED, KEYS, signed_at(SIGNED) + skew)


def test_an_old_request_has_expired() -> None:
    now = timegm((2026, 11, 23, 9, 0, 0))
    old = changed(SIGNED, "x-amz-date", "20261123T085459Z")
    code, message = refusal(old, now)
    assert code == "InvalidSignatureException"
    assert (
        message
        == "Signature expired: 20261123T085459Z is now earlier than 20261123T085500Z (20261123T090000Z - 5 min.)"
    )


def test_a_request_of_the_future_is_not_yet_current() -> None:
    now = timegm((2026, 11, 23, 9, 0, 0))
    early = changed(SIGNED, "x-amz-date", "20261123T090501Z")
    code, message = refusal(early, now)
    assert code == "InvalidSignatureException"
    assert (
        message
        == "Signature not yet current: 20261123T090501Z is still later than 20261123T090500Z (20261123T090000Z + 5 min.)"
    )


def test_a_header_that_other_sdks_sign_counts() -> None:
    """botocore leaves out the user agent; the older Java SDK signs it. What is signed is the client's choice."""
    agent = signed(request(headers=headers(x_agent="java")))
    renamed = agent._replace(
        headers=tuple((name.replace("x-agent", "user-agent"), value) for name, value in agent.headers)
    )
    assert "x-agent" in agent.header("authorization")
    sigv4.verify(agent, KEYS, time.time())
    code, message = refusal(renamed, time.time())
    assert (code, message) == ("InvalidSignatureException", MISMATCH)


def test_the_hash_of_the_body_may_be_a_header() -> None:
    from hashlib import sha256

    body = b'{"a": 1}'
    given = signed(request(body, headers(x_amz_content_sha256=sha256(body).hexdigest())))
    sigv4.verify(given, KEYS, time.time())
    assert refusal(given._replace(body=b'{"a": 2}'), time.time())[1] == MISMATCH


def test_unsigned_headers_may_change_on_the_way() -> None:
    sigv4.verify(changed(SIGNED, "user-agent", "a proxy's"), KEYS, signed_at(SIGNED))


# --- properties

names = st.text(string.ascii_lowercase, min_size=1, max_size=8).map("x-amz-meta-{}".format)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
hosts = st.from_regex(r"(sync-)?[a-z]{1,10}(:[0-9]{1,5})?", fullmatch=True)
requests = st.builds(
    lambda body, more, host: request(body, {**headers(), **more, "host": host}),
    st.binary(max_size=200),
    st.dictionaries(names, values, max_size=3),
    hosts,
)


@given(requests, st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[0-9]", fullmatch=True))
def test_anything_that_botocore_signs_passes(given: Request, region: str) -> None:
    done = signed(given, region=region)
    sigv4.verify(done, KEYS, signed_at(done))


def other_byte(draw: st.DrawFn, text: bytes) -> bytes:
    """With exactly one byte changed to another that a header can hold."""
    place = draw(st.integers(0, len(text) - 1))
    byte = draw(st.integers(33, 255).filter(lambda value: value != text[place]))
    return text[:place] + bytes([byte]) + text[place + 1 :]


@st.composite
def tampered(draw: st.DrawFn) -> Request:
    """A signed request with one byte changed in something that its signature covers, or in the signature."""
    given = signed(draw(requests.filter(lambda each: len(each.body) > 0)))
    covered = [name for name, value in given.headers if value]
    where = draw(st.sampled_from(["body", "path", "method", *covered]))
    if where == "body":
        return given._replace(body=other_byte(draw, given.body))
    if where == "path":
        return given._replace(path=other_byte(draw, given.path.encode()).decode("latin-1"))
    if where == "method":
        return given._replace(method=other_byte(draw, given.method.encode()).decode("latin-1"))
    return changed(given, where, other_byte(draw, given.header(where).encode("latin-1")).decode("latin-1"))


@given(tampered())
def test_with_any_one_byte_changed_nothing_passes(given: Request) -> None:
    assert not passes(given, time.time())


@given(requests.filter(lambda each: len(each.headers) > 3), st.data())
def test_without_any_one_signed_header_nothing_passes(given: Request, data: st.DataObject) -> None:
    done = signed(given)
    name = data.draw(st.sampled_from([name for name, _ in done.headers]))
    assert not passes(changed(done, name, None), time.time())


@given(st.text(max_size=100).map("AWS4-HMAC-SHA256 {}".format))
def test_garbage_is_refused_and_nothing_else_happens(text: str) -> None:
    refusal(changed(SIGNED, "authorization", text))
