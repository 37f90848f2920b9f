"""``nf.resume``: going on, in this process, with executions whose process has ended before they had."""

from contextvars import copy_context

from nbflow.client.connection import Connection, current, say
from nbflow.client.executions import Execution
from nbflow.client.listing import Executions
from nbflow.client.presentation import presenter
from nbflow.errors import NbflowError
from nbflow.service.resuming import NotHere
from nbflow.store.rows import ExecutionRow


def resume(*names: str) -> Executions:
    """Go on with executions that were interrupted: those of these names (or ARNs, or beginnings), else all there are.

    Each goes on where it was, with the code that its tasks had when it started: no cell has to be run again. What was
    under way is done once more; what has a result is not. Answers those that go on here.

    Raises NbflowError for a name that stands for no interrupted execution, or for one that lacks something here; of
    all, such ones are only said.
    """
    connection = current()
    connection.context = copy_context()
    rows = [_named(connection, name) for name in names] if names else connection.service.interrupted()
    resumed = Executions()
    for row in rows:
        try:
            goes_on = connection.service.resume(row)
        except NotHere as missing:
            text = f"execution {row.name} cannot go on in this process: {missing}"
            if names:
                raise NbflowError(text) from missing
            say(text)
            continue
        if goes_on:
            resumed.append(Execution(row.arn, connection))
            presenter().started(resumed[-1])
    return resumed


def _named(connection: Connection, name: str) -> ExecutionRow:
    row = connection.row(connection.service.find_execution(name))
    if row.owner is None:
        why = f"it is {row.status} (redrive goes on with failures)"
        raise NbflowError(f"execution {row.name} was not interrupted: {why}")
    keeper = connection.service.keeper(row)
    if keeper is not None:
        keeper = "this process" if row.owner == connection.engine.id else keeper
        raise NbflowError(f"execution {row.name} was not interrupted: it is run by {keeper}")
    return row
