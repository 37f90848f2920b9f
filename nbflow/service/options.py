"""Logging, tracing and encryption of a machine: checked, stored as JSON text, and echoed.

nbflow writes no CloudWatch logs and encrypts nothing: what is configured here counts when the definition goes to AWS.
"""

import json
from typing import Final

from nbflow.language.values import Json
from nbflow.service.errors import ApiError

DEFAULTS: Final[dict[str, Json]] = {
    "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
    "tracingConfiguration": {"enabled": False},
    "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
}

_KEY_REUSE: Final = 300
"""Seconds for which a data key is used, where the request names none (AWS, EncryptionConfiguration)."""


def checked(logging: Json = None, tracing: Json = None, encryption: Json = None) -> dict[str, Json]:
    """The configurations that are given, with AWS's defaults filled in.

    Raises ApiError InvalidLoggingConfiguration or InvalidEncryptionConfiguration.
    """
    found: dict[str, Json] = {}
    if logging is not None:
        found["loggingConfiguration"] = _logging(logging)
    if tracing is not None:
        found["tracingConfiguration"] = DEFAULTS["tracingConfiguration"] | tracing
    if encryption is not None:
        found["encryptionConfiguration"] = check_encryption(encryption)
    return found


def _logging(given: dict[str, Json]) -> Json:
    filled = DEFAULTS["loggingConfiguration"] | given
    if filled["level"] != "OFF" and len(filled.get("destinations", ())) != 1:
        raise ApiError(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.",
        )
    return filled


def check_encryption(given: dict[str, Json]) -> Json:
    """The encryption of a machine or activity. Raises ApiError InvalidEncryptionConfiguration."""
    own = given["type"] == "CUSTOMER_MANAGED_KMS_KEY"
    if own and "kmsKeyId" not in given:
        raise _invalid("kmsKeyId must be specified with CUSTOMER_MANAGED_KMS_KEY")
    if not own and given.keys() - {"type"}:
        raise _invalid("kmsKeyId and kmsDataKeyReusePeriodSeconds need the type CUSTOMER_MANAGED_KMS_KEY")
    return {"kmsDataKeyReusePeriodSeconds": _KEY_REUSE, **given} if own else given


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidEncryptionConfiguration", f"Invalid Encryption Configuration: {message}.")


def shown(options: str) -> dict[str, Json]:
    """The stored configurations as the API shows them."""
    stored = json.loads(options)
    return {name: stored.get(name, default) for name, default in DEFAULTS.items()}
