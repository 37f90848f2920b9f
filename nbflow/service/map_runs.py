"""Map Runs of Distributed Maps. The engine makes none yet: there is nothing to list, and none to describe."""

from nbflow.language.values import Json
from nbflow.service.arns import check_arn
from nbflow.service.desk import Desk
from nbflow.service.lookup import execution_of, not_found
from nbflow.service.parameters import DEFAULT_RESULTS, page


def list_map_runs(
    desk: Desk, execution_arn: str, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListMapRuns. Raises ApiError InvalidArn, ExecutionDoesNotExist or InvalidToken."""
    execution_of(desk, execution_arn)
    return page("mapRuns", [], max_results, next_token, of=execution_arn)


def describe_map_run(desk: Desk, map_run_arn: str) -> dict[str, Json]:
    """AWS, DescribeMapRun. Raises ApiError InvalidArn or ResourceNotFound."""
    raise not_found(check_arn(map_run_arn, "mapRun"))
