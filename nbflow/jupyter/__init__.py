"""nbflow in a notebook: cells as tasks, and runs under the cell that starts them.

``import nbflow`` in IPython, or ``%load_ext nbflow``, calls :func:`activate`. It imports little: what draws is imported
when the first run is started, and nothing of this room is imported outside of IPython (but :mod:`.body`, by a worker).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def activate(shell: "InteractiveShell") -> None:
    """Register ``%%task`` with this IPython, and show runs in it if it is a kernel's. Again, it changes nothing."""
    from nbflow.jupyter import hooks, magics

    if "TaskMagics" not in shell.magics_manager.registry:
        shell.register_magics(magics.TaskMagics)
    if getattr(shell, "kernel", None) is not None:
        hooks.in_kernel(shell)
