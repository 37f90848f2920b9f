"""``nf.execution`` and ``nf.executions``: runs of this and of earlier processes, by name and as a table."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

from nbflow.client.connection import current
from nbflow.client.executions import Execution
from nbflow.drawing.words import status_word
from nbflow.service.arns import machine_arn
from nbflow.service.executions import Search
from nbflow.service.parameters import MOST_RESULTS
from nbflow.service.when import moment

if TYPE_CHECKING:
    import pandas as pd


def execution(name: str) -> Execution:
    """The execution with this ARN or name, or an unambiguous beginning of its name; ApiError if there is none."""
    connection = current()
    return Execution(connection.service.find_execution(name), connection)


class Executions(list[Execution]):
    """A list of executions that is shown as a table."""

    def df(self) -> "pd.DataFrame":
        """One row an execution: machine, name, status, interrupted (or not), started (UTC), seconds, error."""
        import pandas as pd

        rows = [run.row for run in self]
        lying = self[0].connection.service.forsaken(rows) if self else set()
        ends = [(row.started_at, row.stopped_at) for row in rows]
        return pd.DataFrame(
            {
                "machine": [run.machine for run in self],
                "name": [row.name for row in rows],
                "status": [row.status for row in rows],
                "interrupted": pd.Series([row.arn in lying for row in rows], dtype=bool),
                "started": pd.to_datetime([row.started_at for row in rows], unit="s", utc=True),
                "seconds": pd.Series(
                    [None if end is None else end - start for start, end in ends], dtype=float
                ),
                "error": pd.Series([row.error for row in rows], dtype=object),
            }
        )

    def _table(self) -> "pd.DataFrame":
        """For people: times to the second, nothing where there is nothing."""
        frame = self.df()
        flags = zip(frame["status"], frame["interrupted"], strict=True)
        return frame.drop(columns="interrupted").assign(
            status=[status_word(status, interrupted=flag) for status, flag in flags],
            started=frame["started"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            seconds=["" if at != at else f"{at:.1f}" for at in frame["seconds"]],
            error=frame["error"].fillna(""),
        )

    def __repr__(self) -> str:
        return self._table().to_string(index=False) if self else "no executions yet"

    def _repr_html_(self) -> str:
        return str(self._table().to_html(index=False)) if self else "no executions yet"


def executions(
    machine: str | None = None,
    status: str | None = None,
    limit: int = 100,
    *,
    where: str | None = None,
    name_prefix: str = "",
    started_after: datetime | str | None = None,
    started_before: datetime | str | None = None,
) -> Executions:
    """The latest executions in the store, newest first, of one state machine (by name) and in one status if given.

    ``where``: a condition on input and output, such as ``"$.input.region = 'eu' and $.output.total > 10"``.
    ``started_after``, ``started_before``: a datetime, its ISO text (UTC where it has no zone), or an age: ``"2h"``.

    Raises ApiError for a machine that is not in the store, or a status that there is not; WhereError, which shows the
    place, for a ``where`` that cannot be read; NbflowError for what is no time.
    """
    connection = current()
    arn = None if machine is None else machine_arn(machine)
    search = searched(where, name_prefix, started_after, started_before)
    found = Executions()
    token: str | None = None
    while len(found) < limit:
        size = min(limit - len(found), MOST_RESULTS)
        listed = connection.service.list_executions(arn, status, size, token, search=search)
        found += [Execution(each["executionArn"], connection) for each in listed["executions"]]
        token = listed.get("nextToken")
        if token is None:
            break
    return found


def searched(
    where: str | None,
    name_prefix: str,
    started_after: datetime | str | None,
    started_before: datetime | str | None,
) -> Search:
    """What is given to :func:`executions`, as the service takes it."""
    now = time.time()
    after, before = (None if at is None else moment(at, now) for at in (started_after, started_before))
    return Search(where, name_prefix, after, before)
