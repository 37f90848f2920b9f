"""ARNs of machines and executions (AWS, "Step Functions resource types"), and the rules for their names."""

import re
from typing import Final

from nbflow.service.errors import ApiError

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/nbflow"

LONGEST_NAME: Final = 80

# AWS, CreateStateMachine and StartExecution, "name": white space, brackets < > { } [ ], wildcards ? *, the special
# characters " # % \ ^ | ~ ` $ & , ; : /, control characters and the surrogates and non-characters are refused.
_REFUSED: Final = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def check_name(name: str) -> str:
    """The name itself. Raises ApiError InvalidName with the culprit."""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise _invalid(name, f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    culprit = _REFUSED.search(name)
    if culprit is not None:
        raise _invalid(name, f"{culprit.group()!r} is not allowed in a name; letters, digits, - _ and . are")
    return name


def _invalid(name: str, hint: str) -> ApiError:
    return ApiError("InvalidName", f"Invalid Name: '{name}'", hint)


def check_arn(arn: str) -> str:
    """The ARN itself. Raises ApiError InvalidArn for what is none."""
    if not arn.startswith("arn:"):
        raise ApiError("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'")
    return arn


def machine_arn(name: str) -> str:
    """The ARN of the state machine of this name."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution of this name; ``machine`` is its state machine's name."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}"


def names_of(execution_arn: str) -> tuple[str, str]:
    """The names of the state machine and of the execution; neither can hold a colon."""
    _, machine, name = execution_arn.rsplit(":", 2)
    return machine, name
