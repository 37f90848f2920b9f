"""ARNs of machines, executions and activities (AWS, "Step Functions resource types"), and the rules for their names."""

import re
from typing import Final, NamedTuple

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


def check_arn(arn: str, *types: str) -> str:
    """The ARN itself, if it is one of Step Functions, of one of these resource types (of any, if none is named).

    Raises ApiError InvalidArn.
    """
    if not arn.startswith("arn:"):
        raise ApiError("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'")
    parts = arn.split(":")
    if len(parts) < 7 or parts[2] != "states" or not parts[6]:
        raise ApiError("InvalidArn", f"Invalid Arn: '{arn}'")
    if types and parts[5] not in types:
        raise ApiError(
            "InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {parts[5].lower()}'"
        )
    return arn


class MachineRef(NamedTuple):
    """What the ARN of a state machine names."""

    arn: str
    """Of the machine itself."""
    qualifier: str
    """The number of a version or the name of an alias, or ""."""
    test_case: str
    """Of a mock configuration, or ""."""

    @property
    def qualified(self) -> str:
        """The ARN of the version or alias; of the machine, if there is no qualifier."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn


def machine_ref(arn: str) -> MachineRef:
    """``arn:aws:states:REGION:ACCOUNT:stateMachine:NAME``, then perhaps ``:VERSION``, ``:ALIAS`` or ``#TestCase``.

    Raises ApiError InvalidArn, or ValidationException for the ARN of a Distributed Map state (``NAME/LABEL``).
    """
    plain, _, test_case = check_arn(arn, "stateMachine").partition("#")
    parts = plain.split(":")
    if len(parts) > 8:
        raise ApiError("InvalidArn", f"Invalid Arn: '{arn}'")
    if "/" in parts[6]:
        message = "The ARN of a Distributed Map state is not supported by this operation"
        raise ApiError("ValidationException", message, "give the state machine's ARN, without its /label")
    return MachineRef(":".join(parts[:7]), parts[7] if len(parts) == 8 else "", test_case)


def map_state_of(machine_arn: str) -> tuple[str, str | None]:
    """``…:stateMachine:NAME/LABEL`` → the machine's own ARN, and the Map state's label; None of a machine itself."""
    machine, _, label = machine_arn.partition("/")
    return machine, label or None


def machine_arn(name: str) -> str:
    """The ARN of the state machine of this name."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution of this name; ``machine`` is its state machine's name."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}"


def express_arn(machine: str, name: str, run: str) -> str:
    """The ARN of one run (a UUID) under this name of an Express machine."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:express:{machine}:{name}:{run}"


def activity_arn(name: str) -> str:
    """The ARN of the activity of this name."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:activity:{name}"


def names_of(execution_arn: str) -> tuple[str, str]:
    """The names of the state machine and of the execution; neither can hold a colon."""
    _, machine, name = execution_arn.rsplit(":", 2)
    return machine, name
