"""IPython in this process, for what needs no kernel; and real kernels."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbflow import jupyter
from tests.jupyter.kernel import Kernel, kernel_in


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with the magics, without colours and without a history on disk."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell puts its own there
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell: Any = InteractiveShell.instance(config=config)
    jupyter.activate(shell)
    yield shell
    InteractiveShell.clear_instance()
    shell.restore_sys_module_state()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for all tests of a module. Each test has names of its own."""
    with kernel_in(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel
