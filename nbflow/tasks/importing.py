"""Where modules are imported from: the folders of what the user runs, as ``python FILE`` has its file's."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nbflow.tasks.job import Code

_MARK: Final = "__init__.py"
"""A folder with this file is a package: its modules are imported from the folder around it."""


def importable(*folders: str) -> None:
    """Let modules be imported from the folders, from the first one first; those that do not exist are left out."""
    for folder in reversed(folders):
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.insert(0, folder)


def importable_for(codes: Iterable[Code], directory: str) -> None:
    """Let modules be imported that lie beside the files of tasks, or in the directory in which they run."""
    beside = (Path(directory, code.path) for code in codes if code.kind == "function" and code.path)
    importable(*dict.fromkeys(_root(file) for file in beside if file.is_file()), directory)


def _root(file: Path) -> str:
    """The folder from which the file can be imported."""
    folder = file.parent
    while (folder / _MARK).is_file():
        folder = folder.parent
    return str(folder)
