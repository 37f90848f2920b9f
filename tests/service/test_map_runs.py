"""Map Runs over the API, as long as there are none (AWS, ListMapRuns, DescribeMapRun, ListExecutions)."""

from nbflow.service.arns import execution_arn
from tests.service.support import Office

MAP_RUN = "arn:aws:states:us-east-1:000000000000:mapRun:m/label:1"


def test_there_are_none(office: Office) -> None:
    run = office.start(office.machine())
    assert office.call("ListMapRuns", executionArn=run) == {"mapRuns": []}
    missing = ("ResourceNotFound", f"Resource not found: '{MAP_RUN}'")
    assert office.refused("DescribeMapRun", mapRunArn=MAP_RUN) == missing
    assert office.refused("ListExecutions", mapRunArn=MAP_RUN) == missing


def test_what_is_refused(office: Office) -> None:
    none = execution_arn("m", "none")
    assert office.refused("ListMapRuns", executionArn=none)[0] == "ExecutionDoesNotExist"
    assert office.refused("DescribeMapRun", mapRunArn=none)[0] == "InvalidArn"
