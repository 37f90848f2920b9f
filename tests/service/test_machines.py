"""State machines over the API (AWS API reference, actions named in each test's parameters)."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nbflow.language.values import Json
from nbflow.machine.records import ExecutionRetired
from nbflow.service import machines
from nbflow.service.arns import ROLE, machine_arn
from nbflow.service.histories import records
from tests.service.support import PASS, TASK, WAIT, WORK, Office, text

ARN = machine_arn("m")
LOGS = {
    "level": "ALL",
    "destinations": [
        {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*"}}
    ],
}
KEY = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "alias/k"}


def created(office: Office, name: str = "m", definition: Json = PASS, **options: Json) -> dict[str, Json]:
    return office.call("CreateStateMachine", name=name, definition=text(definition), roleArn=ROLE, **options)


def described(office: Office, arn: str = ARN) -> dict[str, Json]:
    return office.call("DescribeStateMachine", stateMachineArn=arn)


# --- create


@dataclass(frozen=True)
class Option:
    id: str
    given: dict[str, Json]
    shown: dict[str, Json] = field(default_factory=dict)
    """What DescribeStateMachine answers, if it is not what was given."""


OPTIONS = [
    Option("type", {"type": "EXPRESS"}),
    Option(
        "logging",
        {"loggingConfiguration": LOGS},
        {"loggingConfiguration": {"includeExecutionData": False, **LOGS}},
    ),
    Option(
        "logging that is off needs no destination",
        {"loggingConfiguration": {"includeExecutionData": True}},
        {"loggingConfiguration": {"level": "OFF", "includeExecutionData": True}},
    ),
    Option("tracing", {"tracingConfiguration": {"enabled": True}}),
    Option(
        "encryption",
        {"encryptionConfiguration": KEY},
        {"encryptionConfiguration": {**KEY, "kmsDataKeyReusePeriodSeconds": 300}},
    ),
]


@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: case.id)
def test_what_a_machine_is_created_with_is_echoed_and_idempotent(office: Office, case: Option) -> None:
    first = created(office, **case.given)
    assert first.keys() == {"stateMachineArn", "creationDate"}
    assert described(office).items() >= (case.shown or case.given).items()
    assert created(office, **case.given) == first
    code, message = office.refused("CreateStateMachine", name="m", definition=text(PASS), roleArn=ROLE)
    assert (code, message) == ("StateMachineAlreadyExists", f"State Machine Already Exists: '{ARN}'")


def test_another_role_and_other_tags_are_ignored_when_a_machine_is_created_again(office: Office) -> None:
    first = created(office, tags=[{"key": "k", "value": "1"}])
    again = office.call(
        "CreateStateMachine", name="m", definition=text(PASS), roleArn=f"{ROLE}2", tags=[{"key": "l"}]
    )
    assert again == first
    assert described(office)["roleArn"] == ROLE
    assert office.call("ListTagsForResource", resourceArn=ARN) == {"tags": [{"key": "k", "value": "1"}]}


def test_a_machine_that_is_published_when_it_is_created_has_version_1(office: Office) -> None:
    first = created(office, publish=True, versionDescription="the first")
    assert first["stateMachineVersionArn"] == f"{ARN}:1"
    assert created(office, publish=True, versionDescription="the first") == first
    for other in ({}, {"publish": True}, {"publish": True, "versionDescription": "another"}):
        refused = office.refused("CreateStateMachine", name="m", definition=text(PASS), roleArn=ROLE, **other)
        assert refused[0] == "StateMachineAlreadyExists"


@dataclass(frozen=True)
class Refused:
    id: str
    action: str
    code: str
    message: str
    parameters: dict[str, Json] = field(default_factory=dict)


CREATE: dict[str, Json] = {"name": "n", "definition": text(PASS), "roleArn": ROLE}
TWO = {**LOGS, "destinations": LOGS["destinations"] * 2}  # type: ignore[operator]
ONE_LOG = "Invalid Logging Configuration: Must specify exactly one Log Destination."
NONE = machine_arn("none")
LABEL = f"{ARN}/label"
NO_LABEL = "The ARN of a Distributed Map state is not supported by this operation"
DESCRIBE = "DescribeStateMachine"
# fmt: off
REFUSED = [
    Refused("name", "CreateStateMachine", "InvalidName", "Invalid Name: 'a b'", CREATE | {"name": "a b"}),
    Refused("definition", "CreateStateMachine", "InvalidDefinition", "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'", CREATE | {"definition": '{"StartAt": "A"}'}),
    Refused("logging nowhere", "CreateStateMachine", "InvalidLoggingConfiguration", ONE_LOG, CREATE | {"loggingConfiguration": {"level": "ERROR"}}),
    Refused("logging twice", "CreateStateMachine", "InvalidLoggingConfiguration", ONE_LOG, CREATE | {"loggingConfiguration": TWO}),
    Refused("no key", "CreateStateMachine", "InvalidEncryptionConfiguration", "Invalid Encryption Configuration: kmsKeyId must be specified with CUSTOMER_MANAGED_KMS_KEY.", CREATE | {"encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY"}}),
    Refused("key of AWS's own", "CreateStateMachine", "InvalidEncryptionConfiguration", "Invalid Encryption Configuration: kmsKeyId and kmsDataKeyReusePeriodSeconds need the type CUSTOMER_MANAGED_KMS_KEY.", CREATE | {"encryptionConfiguration": {**KEY, "type": "AWS_OWNED_KEY"}}),
    Refused("description of nothing", "CreateStateMachine", "ValidationException", "Version description can only be set when publish is true", CREATE | {"versionDescription": "d"}),
    Refused("many tags", "CreateStateMachine", "TooManyTags", "A resource can have at most 50 tags", CREATE | {"tags": [{"key": f"{i}"} for i in range(51)]}),
    Refused("no ARN", DESCRIBE, "InvalidArn", "Invalid Arn: 'Invalid ARN prefix: m'", {"stateMachineArn": "m"}),
    Refused("short ARN", DESCRIBE, "InvalidArn", "Invalid Arn: 'arn:aws:states'", {"stateMachineArn": "arn:aws:states"}),
    Refused("long ARN", DESCRIBE, "InvalidArn", f"Invalid Arn: '{ARN}:1:2'", {"stateMachineArn": f"{ARN}:1:2"}),
    Refused("other service", DESCRIBE, "InvalidArn", "Invalid Arn: 'arn:aws:sqs:us-east-1:000000000000:stateMachine:m'", {"stateMachineArn": ARN.replace("states", "sqs")}),
    Refused("other resource", DESCRIBE, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: execution'", {"stateMachineArn": ARN.replace("stateMachine", "execution")}),
    Refused("label", DESCRIBE, "ValidationException", NO_LABEL, {"stateMachineArn": LABEL}),
    Refused("no machine", DESCRIBE, "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{NONE}'", {"stateMachineArn": NONE}),
    Refused("no version", DESCRIBE, "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{ARN}:7'", {"stateMachineArn": f"{ARN}:7"}),
    Refused("update none", "UpdateStateMachine", "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{NONE}'", {"stateMachineArn": NONE, "definition": text(PASS)}),
    Refused("update a version", "UpdateStateMachine", "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{ARN}:1'", {"stateMachineArn": f"{ARN}:1", "definition": text(PASS)}),
    Refused("update nothing", "UpdateStateMachine", "MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the EncryptionConfiguration must be specified", {"stateMachineArn": ARN}),
    Refused("update to nonsense", "UpdateStateMachine", "InvalidDefinition", "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [StartAt, States] at /'", {"stateMachineArn": ARN, "definition": "{}"}),
    Refused("update logging", "UpdateStateMachine", "InvalidLoggingConfiguration", ONE_LOG, {"stateMachineArn": ARN, "loggingConfiguration": TWO}),
    Refused("delete a version", "DeleteStateMachine", "ValidationException", "The ARN of a version or alias is not supported by this operation", {"stateMachineArn": f"{ARN}:1"}),
    Refused("no execution", "DescribeStateMachineForExecution", "ExecutionDoesNotExist", "Execution Does Not Exist: 'arn:aws:states:us-east-1:000000000000:execution:m:r'", {"executionArn": "arn:aws:states:us-east-1:000000000000:execution:m:r"}),
]
# fmt: on


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.action}-{case.id}")
def test_what_is_refused(office: Office, case: Refused) -> None:
    created(office, publish=True)
    assert office.refused(case.action, **case.parameters) == (case.code, case.message)


# --- update


def test_an_update_that_changes_nothing_makes_no_revision(office: Office) -> None:
    created(office)
    before = office.clock.now()
    office.clock.advance_to(before + 60)
    assert office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(PASS)) == {
        "updateDate": before
    }
    first = office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT))
    again = office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT), roleArn=ROLE)
    assert (first["updateDate"], again) == (before + 60, first)


def test_an_update_of_the_role_alone_makes_a_revision_in_any_case(office: Office) -> None:
    created(office)
    first = office.call("UpdateStateMachine", stateMachineArn=ARN, roleArn=ROLE)
    second = office.call("UpdateStateMachine", stateMachineArn=ARN, roleArn=ROLE)
    assert first["revisionId"] != second["revisionId"]


def test_an_update_of_one_option_keeps_the_others(office: Office) -> None:
    created(office, loggingConfiguration=LOGS)
    first = office.call("UpdateStateMachine", stateMachineArn=ARN, tracingConfiguration={"enabled": True})
    second = office.call(
        "UpdateStateMachine", stateMachineArn=ARN, loggingConfiguration={**LOGS, "level": "FATAL"}
    )
    assert first["revisionId"] != second["revisionId"] == described(office)["revisionId"]
    assert described(office)["tracingConfiguration"] == {"enabled": True}
    assert described(office)["loggingConfiguration"]["level"] == "FATAL"


def test_an_update_can_publish(office: Office) -> None:
    created(office)
    same = {"stateMachineArn": ARN, "definition": text(PASS), "publish": True}
    assert office.call("UpdateStateMachine", **same).keys() == {"updateDate", "stateMachineVersionArn"}
    answer = office.call(
        "UpdateStateMachine", **same | {"definition": text(WAIT), "versionDescription": "second"}
    )
    assert answer["stateMachineVersionArn"] == f"{ARN}:2"
    version = described(office, f"{ARN}:2")
    assert (version["description"], version["revisionId"]) == ("second", answer["revisionId"])
    assert json.loads(described(office, f"{ARN}:1")["definition"]) == PASS


# --- describe


def test_metadata_only_hides_the_definition(office: Office) -> None:
    created(office)
    answer = office.call("DescribeStateMachine", stateMachineArn=ARN, includedData="METADATA_ONLY")
    assert answer["definition"] == "{}"


def test_an_execution_remembers_the_machine_that_it_started_on(office: Office) -> None:
    created(office, definition=TASK, loggingConfiguration=LOGS)
    changed = office.call("UpdateStateMachine", stateMachineArn=ARN, roleArn=f"{ROLE}2")
    run = office.start(ARN)
    office.clock.advance_to(office.clock.now() + 60)
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(PASS), roleArn=ROLE)
    assert office.call("DescribeStateMachineForExecution", executionArn=run) == {
        "stateMachineArn": ARN,
        "name": "m",
        "definition": text(TASK),
        "roleArn": f"{ROLE}2",
        "updateDate": changed["updateDate"],
        "revisionId": changed["revisionId"],
        "loggingConfiguration": {"includeExecutionData": False, **LOGS},
        "tracingConfiguration": {"enabled": False},
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    }


# --- delete


def test_deleting_is_forgetting_the_versions_aliases_and_tags(office: Office) -> None:
    created(office, publish=True, tags=[{"key": "k", "value": "v"}])
    route = [{"stateMachineVersionArn": f"{ARN}:1", "weight": 100}]
    alias = office.call("CreateStateMachineAlias", name="a", routingConfiguration=route)[
        "stateMachineAliasArn"
    ]
    run = office.start(ARN)
    office.ended(run)
    assert office.call("DeleteStateMachine", stateMachineArn=ARN) == {}
    assert office.refused("DescribeStateMachine", stateMachineArn=ARN)[0] == "StateMachineDoesNotExist"
    assert office.refused("DescribeStateMachineAlias", stateMachineAliasArn=alias)[0] == "ResourceNotFound"
    assert office.call("DeleteStateMachine", stateMachineArn=ARN) == {}, "again"
    assert office.call("DescribeExecution", executionArn=run)["status"] == "SUCCEEDED"
    created(office)
    assert office.call("ListStateMachineVersions", stateMachineArn=ARN) == {"stateMachineVersions": []}
    assert office.call("ListTagsForResource", resourceArn=ARN) == {"tags": []}


def test_all_of_its_executions_are_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "AT_ONCE", 2)
    states = {"T": {**TASK["States"]["T"], "Next": "P"}, "P": {"Type": "Pass", "End": True}}
    states["T"].pop("End")
    created(office, definition={"StartAt": "T", "States": states})
    runs = [office.start(ARN) for _ in range(5)]
    office.settled()
    office.call("DeleteStateMachine", stateMachineArn=ARN)
    for _ in runs:
        office.pool.finish()
    assert [office.ended(run) for run in runs] == ["ABORTED"] * 5


def test_a_machine_with_executions_is_deleting_until_they_have_ended(office: Office) -> None:
    activity = office.call("CreateActivity", name="work")["activityArn"]
    states = {"T": {"Type": "Task", "Resource": activity, "Next": "P"}, "P": {"Type": "Pass", "End": True}}
    created(office, definition={"StartAt": "T", "States": states})
    run = office.start(ARN)
    token = office.call("GetActivityTask", activityArn=activity)["taskToken"]
    assert office.call("DeleteStateMachine", stateMachineArn=ARN) == {}
    assert described(office)["status"] == "DELETING"
    deleting = ("StateMachineDeleting", f"State Machine Deleting: '{ARN}'")
    assert office.refused("StartExecution", stateMachineArn=ARN) == deleting
    assert office.refused("UpdateStateMachine", stateMachineArn=ARN, definition=text(PASS)) == deleting
    assert office.refused("PublishStateMachineVersion", stateMachineArn=ARN) == deleting
    assert office.refused("CreateStateMachine", **CREATE | {"name": "m"}) == deleting
    office.call("SendTaskSuccess", taskToken=token, output="1")
    assert office.ended(run) == "ABORTED", "before its next state"
    types = [event["type"] for event in office.call("GetExecutionHistory", executionArn=run)["events"]]
    assert types[-3:] == ["ActivitySucceeded", "TaskStateExited", "ExecutionAborted"]
    assert office.call("ListStateMachines") == {"stateMachines": []}
    assert office.refused("DescribeStateMachine", stateMachineArn=ARN)[0] == "StateMachineDoesNotExist"


def test_executions_of_another_process_end_before_their_next_state(office: Office, tmp_path: Path) -> None:
    states = {"T": {"Type": "Task", "Resource": WORK, "Next": "P"}, "P": {"Type": "Pass", "End": True}}
    created(office, definition={"StartAt": "T", "States": states})
    run = office.start(ARN)
    other = Office(tmp_path)
    other.call("DeleteStateMachine", stateMachineArn=ARN)
    office.until(
        lambda: any(isinstance(record, ExecutionRetired) for record in records(other.service.desk, run))
    )
    assert described(other)["status"] == "DELETING"
    office.pool.finish(1)
    assert office.ended(run) == "ABORTED"
    types = [event["type"] for event in office.call("GetExecutionHistory", executionArn=run)["events"]]
    assert types[-3:] == ["LambdaFunctionSucceeded", "TaskStateExited", "ExecutionAborted"]
    assert other.store.inbox() == []
    other.close()


def test_executions_whose_process_is_no_more_are_stopped(office: Office, tmp_path: Path) -> None:
    created(office, definition=WAIT)
    run = office.start(ARN)
    office.engine.close()
    other = Office(tmp_path)
    other.call("DeleteStateMachine", stateMachineArn=ARN)
    assert other.ended(run) == "ABORTED"
    created(other)
    other.close()


# --- validate


def test_validation_tells_errors_and_warnings_as_asked(office: Office) -> None:
    state = {"Type": "Pass", "Parameters": {"a": "$.b"}, "End": True}
    definition = text({"StartAt": "P", "States": {"P": state}})
    call = {"definition": definition}
    assert office.call("ValidateStateMachineDefinition", **call)["diagnostics"] == []
    answer = office.call("ValidateStateMachineDefinition", **call, severity="WARNING")
    assert [each["code"] for each in answer["diagnostics"]] == ["NO_DOLLAR"]
    assert answer["result"] == "OK"


def test_validation_is_cut_at_max_results(office: Office) -> None:
    definition = text({"StartAt": "P", "States": {f"S{i}": {"Type": "Pass"} for i in range(5)}})
    whole = office.call("ValidateStateMachineDefinition", definition=definition)
    assert not whole["truncated"]
    assert len(whole["diagnostics"]) > 2
    first = office.call("ValidateStateMachineDefinition", definition=definition, maxResults=2)
    assert (first["diagnostics"], first["truncated"]) == (whole["diagnostics"][:2], True)


def test_express_has_no_activities_jobs_and_callbacks(office: Office) -> None:
    resources = {
        "arn:aws:states:us-east-1:000000000000:activity:a": "Express state machine does not support Activity ARN",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken": "Express state machine does not support '.waitForTaskToken' service integration",
        "arn:aws:states:::states:startExecution.sync:2": "Express state machine does not support '.sync:2' service integration",
    }
    for resource, message in resources.items():
        task = {"Type": "Task", "Resource": resource, "End": True}
        definition = text({"StartAt": "T", "States": {"T": task}})
        standard = office.call("ValidateStateMachineDefinition", definition=definition)
        assert standard["result"] == "OK"
        [found] = office.call("ValidateStateMachineDefinition", definition=definition, type="EXPRESS")[
            "diagnostics"
        ]
        assert (found["location"], found["message"]) == ("/States/T/Resource", message)
        refused = office.refused(
            "CreateStateMachine", **CREATE | {"definition": definition, "type": "EXPRESS"}
        )
        assert refused[0] == "InvalidDefinition"
        assert message in refused[1]
