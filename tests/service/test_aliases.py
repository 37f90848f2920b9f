"""Aliases over the API (AWS, CreateStateMachineAlias and its related operations)."""

from collections import Counter
from dataclasses import dataclass

import pytest

from nbflow.language.values import Json
from nbflow.service import aliases
from nbflow.service.arns import machine_arn
from tests.service.support import PASS, WAIT, Office, text

ARN = machine_arn("m")
ONE, TWO = f"{ARN}:1", f"{ARN}:2"


def routes(**weights: int) -> list[dict[str, Json]]:
    """``one=30, two=70`` as a routing configuration."""
    arns = {"one": ONE, "two": TWO, "three": f"{ARN}:3", "other": f"{machine_arn('n')}:1"}
    return [{"stateMachineVersionArn": arns[name], "weight": weight} for name, weight in weights.items()]


@pytest.fixture(autouse=True)
def machine(office: Office) -> None:
    office.machine(PASS)
    office.call("PublishStateMachineVersion", stateMachineArn=ARN)
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT), publish=True)


def alias(office: Office, name: str = "prod", **weights: int) -> str:
    routing = routes(**weights or {"one": 100})
    arn: str = office.call("CreateStateMachineAlias", name=name, routingConfiguration=routing)[
        "stateMachineAliasArn"
    ]
    return arn


def test_an_alias_is_created_described_updated_and_deleted(office: Office) -> None:
    arn = alias(office)
    begun = office.clock.now()
    shown: dict[str, Json] = {
        "stateMachineAliasArn": f"{ARN}:prod",
        "name": "prod",
        "routingConfiguration": routes(one=100),
        "creationDate": begun,
        "updateDate": begun,
    }
    assert office.call("DescribeStateMachineAlias", stateMachineAliasArn=arn) == shown
    office.clock.advance_to(begun + 60)
    changed = {"description": "half", "routingConfiguration": routes(one=50, two=50)}
    assert office.call("UpdateStateMachineAlias", stateMachineAliasArn=arn, **changed) == {
        "updateDate": begun + 60
    }
    shown |= changed | {"updateDate": begun + 60}
    assert office.call("DescribeStateMachineAlias", stateMachineAliasArn=arn) == shown
    assert office.call("DeleteStateMachineAlias", stateMachineAliasArn=arn) == {}
    assert office.call("DeleteStateMachineAlias", stateMachineAliasArn=arn) == {}, "again"


def test_creating_the_same_alias_again_changes_nothing(office: Office) -> None:
    call: dict[str, Json] = {"name": "a", "routingConfiguration": routes(one=100), "description": "d"}
    first = office.call("CreateStateMachineAlias", **call)
    office.clock.advance_to(office.clock.now() + 60)
    assert office.call("CreateStateMachineAlias", **call) == first
    for other in ({"description": "e"}, {"routingConfiguration": routes(one=50, two=50)}):
        assert office.refused("CreateStateMachineAlias", **call | other) == (
            "ConflictException",
            "Failed to create alias because an alias with the same name and a different routing configuration "
            "already exists.",
        )


def test_aliases_are_listed_for_a_machine_and_for_a_version(office: Office) -> None:
    alias(office, "a")
    alias(office, "b", one=1, two=99)
    alias(office, "c", two=100)

    def listed(arn: str) -> list[str]:
        found = office.call("ListStateMachineAliases", stateMachineArn=arn)["stateMachineAliases"]
        return [each["stateMachineAliasArn"][-1] for each in found]

    assert (listed(ARN), listed(ONE), listed(TWO)) == (["a", "b", "c"], ["a", "b"], ["b", "c"])


def test_starts_are_shared_out_by_weight(office: Office) -> None:
    arn = alias(office, one=70, two=30)
    runs = [office.start(arn) for _ in range(100)]
    described = [office.call("DescribeExecution", executionArn=run) for run in runs]
    assert {each["stateMachineAliasArn"] for each in described} == {arn}
    drawn = Counter(each["stateMachineVersionArn"] for each in described)
    assert 60 <= drawn[ONE] <= 80, "the dice are thrown by a seeded generator"


def test_an_alias_is_described_as_its_first_version(office: Office) -> None:
    shown = office.call("DescribeStateMachine", stateMachineArn=alias(office, one=1, two=99))
    assert (shown["stateMachineArn"], shown["definition"]) == (ONE, text(PASS))


def test_a_weight_of_nothing_is_never_drawn(office: Office) -> None:
    arn = alias(office, two=0, one=100)
    versions = {
        office.call("DescribeExecution", executionArn=office.start(arn))["stateMachineVersionArn"]
        for _ in range(20)
    }
    assert versions == {ONE}


def test_executions_of_an_alias_and_of_a_version_are_listed(office: Office) -> None:
    runs = {"alias": office.start(alias(office)), "version": office.start(ONE), "machine": office.start(ARN)}

    def listed(arn: str) -> set[str]:
        found = office.call("ListExecutions", stateMachineArn=arn)["executions"]
        return {name for name, run in runs.items() if run in [each["executionArn"] for each in found]}

    assert listed(ARN) == {"alias", "version", "machine"}
    assert listed(ONE) == {"alias", "version"}
    assert listed(f"{ARN}:prod") == {"alias"}
    [one] = office.call("ListExecutions", stateMachineArn=f"{ARN}:prod")["executions"]
    assert (one["stateMachineArn"], one["stateMachineVersionArn"]) == (ARN, ONE)


@dataclass(frozen=True)
class Refused:
    id: str
    routing: list[dict[str, Json]]
    code: str
    message: str


DISTINCT = "Routing configuration must contain distinct state machine version ARNs. Received: "
VERSIONS = "Routing configuration must contain state machine version ARNs. Received: "
MISSING = "Request references a resource that does not exist."
# fmt: off
ROUTINGS = [
    Refused("machine", [{"stateMachineVersionArn": ARN, "weight": 100}], "ValidationException", f"{VERSIONS}[{ARN}]"),
    Refused("alias", [{"stateMachineVersionArn": f"{ARN}:prod", "weight": 100}], "ValidationException", f"{VERSIONS}[{ARN}:prod]"),
    Refused("twice", routes(one=50) * 2, "ValidationException", f"{DISTINCT}[{ONE}, {ONE}]"),
    Refused("sum", routes(one=50, two=49), "ValidationException", "Sum of routing configuration weights must equal 100. Received: [50, 49]"),
    Refused("two machines", routes(one=50, other=50), "ValidationException", f"Routing configuration must contain versions of one state machine. Received: [{ONE}, {machine_arn('n')}:1]"),
    Refused("no version", routes(three=100), "ResourceNotFound", MISSING),
    Refused("no machine", routes(other=100), "ResourceNotFound", MISSING),
]
# fmt: on


@pytest.mark.parametrize("case", ROUTINGS, ids=lambda case: case.id)
def test_routings_that_are_refused(office: Office, case: Refused) -> None:
    create = office.refused("CreateStateMachineAlias", name="x", routingConfiguration=case.routing)
    assert create == (case.code, case.message)
    arn = alias(office)
    update = office.refused(
        "UpdateStateMachineAlias", stateMachineAliasArn=arn, routingConfiguration=case.routing
    )
    assert update == (case.code, case.message)


def test_what_else_is_refused(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    arn, none = alias(office), f"{ARN}:none"
    assert office.refused("UpdateStateMachineAlias", stateMachineAliasArn=arn)[0] == "ValidationException"
    missing = ("ResourceNotFound", MISSING)
    assert office.refused("UpdateStateMachineAlias", stateMachineAliasArn=none, description="d") == missing
    assert office.refused("DescribeStateMachineAlias", stateMachineAliasArn=none) == missing
    assert office.refused("ListStateMachineAliases", stateMachineArn=f"{ARN}:9") == missing
    assert (
        office.refused("ListStateMachineAliases", stateMachineArn=machine_arn("n"))[0]
        == "StateMachineDoesNotExist"
    )
    assert office.refused("StartExecution", stateMachineArn=none)[0] == "StateMachineDoesNotExist"
    monkeypatch.setattr(aliases, "MOST_ALIASES", 1)
    code, message = office.refused(
        "CreateStateMachineAlias", name="second", routingConfiguration=routes(one=100)
    )
    assert (code, message) == ("ServiceQuotaExceededException", "A state machine can have at most 1 aliases")
