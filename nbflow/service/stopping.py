"""How a running execution is ended, whichever process runs it."""

from concurrent.futures import Future

from nbflow.machine import facts
from nbflow.machine.records import decode
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.starting import bound
from nbflow.store.port import ExecutionRow


def stop(desk: Desk, row: ExecutionRow, error: str | None = None, cause: str | None = None) -> Future[None]:
    """Ask the execution to end. The future is done when its end is durable.

    It fails with AlreadyExists if another process was quicker with the next step of its execution.
    """
    ended = desk.engine.ended(row.arn) or _adopt(desk, row)
    desk.engine.post(row.arn, facts.Stop(error, cause))
    return ended


def _adopt(desk: Desk, row: ExecutionRow) -> Future[None]:
    desk.engine.open()
    steps = [decode(step.records, step.format) for step in desk.store.journal(row.arn)]
    definition = check_definition(desk.store.definition(row.definition))
    return desk.engine.adopt(row, definition, steps, bound(desk, definition))
