"""Where runs are shown: the port that a notebook's door fills in. Without one (a script, a shell), nothing is shown."""

from typing import TYPE_CHECKING, Protocol

from nbflow.errors import NbflowError

if TYPE_CHECKING:
    from nbflow.client.connection import Connection
    from nbflow.client.executions import Execution


class Presenter(Protocol):
    """What a place where people look at runs does."""

    @property
    def waits_at_exit(self) -> bool:
        """Whether the process, before it ends, waits for what it started."""
        ...

    def connected(self, connection: "Connection") -> None:
        """It is the default connection from now on."""
        ...

    def started(self, execution: "Execution") -> None:
        """It has just been started, in the thread that called ``start``."""
        ...

    def panel(self, execution: "Execution") -> None:
        """Show it here and now. Raises NbflowError where that is not possible."""
        ...

    def still_waiting(self, execution: "Execution") -> None:
        """Somebody has been blocked for a while by waiting for it."""
        ...


class Script:
    """Where nothing is shown."""

    waits_at_exit = True

    def connected(self, connection: "Connection") -> None:
        connection.offer_to_resume()

    def started(self, execution: "Execution") -> None:
        pass

    def panel(self, execution: "Execution") -> None:
        raise NbflowError(
            f"a panel needs a notebook; here, `nbflow show {execution.name}` prints the steps of the run"
        )

    def still_waiting(self, execution: "Execution") -> None:
        pass


class Shell(Script):
    """The same for commands, which are asked for what they say."""

    def connected(self, connection: "Connection") -> None:
        pass


_presenter: Presenter = Script()


def use(presenter: Presenter) -> None:
    """Show runs there from now on."""
    global _presenter
    _presenter = presenter


def in_shell() -> bool:
    """Whether this process is a command, whose user reads how to go on as commands."""
    return isinstance(_presenter, Shell)


def presenter() -> Presenter:
    """Where runs are shown now."""
    return _presenter
