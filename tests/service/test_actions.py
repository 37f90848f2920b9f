"""The table of actions."""

import inspect

import pytest
from botocore import xform_name

from nbflow.service.actions import ACTIONS
from nbflow.service.errors import ApiError
from nbflow.service.validation import SERVICE, operations, service_model
from tests.service.support import Office

LATER = {
    *("GetActivityTask", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"),
    "UpdateMapRun",
}
"""What needs task tokens or Map Runs."""


def test_every_action_of_the_model_is_there_but_those_that_come_later() -> None:
    assert operations() - LATER == ACTIONS.keys() - LATER


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_parameter_of_the_model_can_be_given(action: str) -> None:
    model = service_model(SERVICE)
    shape = model["shapes"][model["operations"][action]["input"]["shape"]]
    known = inspect.signature(ACTIONS[action]).parameters
    for member in shape.get("members", {}):
        assert xform_name(member) in known
        optional = known[xform_name(member)].default is not inspect.Parameter.empty
        assert optional or member in shape.get("required", ())


def test_an_action_that_there_is_not(office: Office) -> None:
    with pytest.raises(ApiError, match="There is no action Frobnicate") as caught:
        office.call("Frobnicate")
    assert caught.value.code == "UnknownOperationException"
