"""Signature Version 4: a request is taken only if its signature can be recomputed with the server's own keys.

(AWS, "Signature Version 4 signing process" and "Troubleshoot signature errors", whose words the errors are.) The
recomputing is botocore's, over exactly the headers that the client says it has signed. The order of the checks is
AWS's: form, time, scope, key, signature. Reading is strict: a signature has one spelling, so that a request with any
signed byte changed is refused.
"""

import calendar
import hmac
import re
import time
from hashlib import sha256
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nbflow.server.keys import Keys
from nbflow.server.protocol import Request
from nbflow.service.errors import ApiError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "states"
"""The name that Step Functions' requests are signed for (botocore's service model, endpointPrefix)."""

SKEW: Final = 5 * 60
"""Seconds that a request's time may differ from ours (AWS, IAM: a request must arrive within five minutes)."""

_PARTS: Final = ("Credential", "Signature", "SignedHeaders")
_TIME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_UNKNOWN: Final = "The security token included in the request is invalid."


def verify(request: Request, keys: Keys, now: float) -> None:
    """Return if the request was signed with these keys around ``now`` (seconds since the epoch).

    Raises ApiError MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException or
    InvalidSignatureException.
    """
    authorization = request.header("authorization")
    if not authorization.startswith("AWS4-"):
        raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = _parts(authorization, request)
    timestamp = request.header("x-amz-date")
    _check_time(timestamp, now)
    names = _signed_names(parts["SignedHeaders"], request)
    access_key, region = _check_scope(parts["Credential"], timestamp)
    token = request.header("x-amz-security-token")
    if token or not _same(access_key, keys.access_key):
        raise ApiError("UnrecognizedClientException", _UNKNOWN)
    digest = sha256(request.body).hexdigest()
    if request.header("x-amz-content-sha256") not in ("", digest):
        raise _invalid(_MISMATCH)
    if not _same(parts["Signature"], _signature(request, names, timestamp, region, digest, keys)):
        raise _invalid(_MISMATCH)


def _parts(authorization: str, request: Request) -> dict[str, str]:
    """``AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`` → the three, by name."""
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). ")
    pairs = [item.strip(" ").partition("=") for item in rest.split(",")]
    for name, equals, value in pairs:
        if not equals:
            raise _incomplete(
                f"'{name}' not a valid key=value pair (missing equal-sign) in Authorization header: '{authorization}'."
            )
        if name not in _PARTS or [n for n, _, _ in pairs].count(name) > 1:
            raise _incomplete(f"Authorization header has an unknown or repeated parameter '{name}={value}'.")
    found = {name: value for name, _, value in pairs}
    missing = [
        f"Authorization header requires '{name}' parameter. " for name in _PARTS if not found.get(name)
    ]
    if not request.header("x-amz-date"):
        missing.append("Authorization header requires existence of a 'X-Amz-Date' header. ")
    if missing:
        raise _incomplete(f"{''.join(missing)}Authorization={authorization}")
    return found


def _check_time(timestamp: str, now: float) -> None:
    try:
        if not _TIME.fullmatch(timestamp):
            raise ValueError
        signed_at = calendar.timegm(time.strptime(timestamp, _TIME_FORMAT))
    except ValueError:
        raise _incomplete(
            f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    if signed_at < now - SKEW:
        raise _invalid(
            f"Signature expired: {timestamp} is now earlier than {_stamp(now - SKEW)} ({_stamp(now)} - 5 min.)"
        )
    if signed_at > now + SKEW:
        raise _invalid(
            f"Signature not yet current: {timestamp} is still later than {_stamp(now + SKEW)} ({_stamp(now)} + 5 min.)"
        )


def _signed_names(text: str, request: Request) -> frozenset[str]:
    """The headers that are signed: in order, all there, and among them the host and all that AWS gives a meaning to."""
    names = frozenset(text.split(";"))
    if text != ";".join(sorted(names)).lower():
        raise _incomplete(f"'SignedHeaders' must be lower case and in order, got '{text}'.")
    if "host" not in names:
        raise _invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    present = {name for name, _ in request.headers}
    for name in sorted(present):
        if name.startswith("x-amz-") and name not in names:
            raise _invalid(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    if not names <= present:
        raise _invalid(_MISMATCH)
    return names


def _check_scope(credential: str, timestamp: str) -> tuple[str, str]:
    """``KEY/DATE/REGION/states/aws4_request`` → the access key and the region, which is free."""
    elements = credential.split("/")
    if len(elements) != 5:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'"
        )
    access_key, date, region, service, terminator = elements
    wrong = []
    if not region:
        wrong.append("Credential should be scoped to a valid region. ")
    if service != SERVICE:
        wrong.append(f"Credential should be scoped to correct service: '{SERVICE}'. ")
    if terminator != "aws4_request":
        wrong.append(
            f"Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'. "
        )
    if date != timestamp[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    if wrong:
        raise _invalid("".join(wrong))
    return access_key, region


class _Recomputed(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer over the headers that the client chose, and the hash of the body that has arrived."""

    def __init__(self, keys: Keys, region: str, digest: str) -> None:
        super().__init__(Credentials(keys.access_key, keys.secret_key), SERVICE, region)
        self._digest = digest

    def headers_to_sign(self, request: AWSRequest) -> object:
        return request.headers

    def payload(self, request: AWSRequest) -> str:
        return self._digest


def _signature(
    request: Request, names: frozenset[str], timestamp: str, region: str, digest: str, keys: Keys
) -> str:
    signed = AWSRequest(method=request.method, url=f"http://nbflow{request.path}")
    for name, value in request.headers:
        if name in names:
            signed.headers[name] = value  # one more of this name, if there is one already
    signed.context["timestamp"] = timestamp
    signer = _Recomputed(keys, region, digest)
    to_sign = signer.string_to_sign(signed, signer.canonical_request(signed))
    signature: str = signer.signature(to_sign, signed)
    return signature


def _same(one: str, other: str) -> bool:
    """Compared in constant time, so that nothing can be guessed piece by piece."""
    return hmac.compare_digest(one.encode(), other.encode())


def _stamp(seconds: float) -> str:
    return time.strftime(_TIME_FORMAT, time.gmtime(seconds))


def _incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", message)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidSignatureException", message)
