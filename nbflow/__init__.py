"""nbflow: Step Functions for notebooks.

``import nbflow as nf``. Everything public is here, and is imported when it is first used, so that the import itself
costs next to nothing.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbflow.artifacts.values import NotJson as NotJson
    from nbflow.artifacts.values import Ref as Ref
    from nbflow.authoring.source import FlowError as FlowError
    from nbflow.authoring.sources import csv as csv
    from nbflow.authoring.sources import files as files
    from nbflow.authoring.sources import json as json
    from nbflow.authoring.sources import jsonl as jsonl
    from nbflow.authoring.sources import parquet as parquet
    from nbflow.authoring.sources import sql as sql
    from nbflow.authoring.task import Retry as Retry
    from nbflow.authoring.task import Task as Task
    from nbflow.authoring.task import notebook as notebook
    from nbflow.authoring.task import task as task
    from nbflow.authoring.words import TaskFailed as TaskFailed
    from nbflow.authoring.words import map as map
    from nbflow.authoring.words import parallel as parallel
    from nbflow.authoring.words import wait as wait
    from nbflow.client.connection import StoppedWaiting as StoppedWaiting
    from nbflow.client.connection import connect as connect
    from nbflow.client.connection import disconnect as disconnect
    from nbflow.client.executions import Execution as Execution
    from nbflow.client.executions import ExecutionFailed as ExecutionFailed
    from nbflow.client.executions import Step as Step
    from nbflow.client.flows import Flow as Flow
    from nbflow.client.flows import flow as flow
    from nbflow.client.housekeeping import gc as gc
    from nbflow.client.listing import execution as execution
    from nbflow.client.listing import executions as executions
    from nbflow.client.machines import BindingError as BindingError
    from nbflow.client.machines import StateMachine as StateMachine
    from nbflow.client.resuming import resume as resume
    from nbflow.errors import Fail as Fail
    from nbflow.errors import NbflowError as NbflowError
    from nbflow.language.validate import DefinitionError as DefinitionError
    from nbflow.server.inprocess import boto3_client as boto3_client
    from nbflow.service.errors import ApiError as ApiError
    from nbflow.store.port import StoreError as StoreError
    from nbflow.tasks.heard import progress as progress
    from nbflow.worker.serve import serve_activity as serve_activity
    from nbflow.worker.worker import Worker as Worker

_HOME = {
    "ApiError": "nbflow.service.errors",
    "BindingError": "nbflow.client.machines",
    "DefinitionError": "nbflow.language.validate",
    "Execution": "nbflow.client.executions",
    "ExecutionFailed": "nbflow.client.executions",
    "Fail": "nbflow.errors",
    "Flow": "nbflow.client.flows",
    "FlowError": "nbflow.authoring.source",
    "NbflowError": "nbflow.errors",
    "NotJson": "nbflow.artifacts.values",
    "Ref": "nbflow.artifacts.values",
    "Retry": "nbflow.authoring.task",
    "StateMachine": "nbflow.client.machines",
    "Step": "nbflow.client.executions",
    "StoppedWaiting": "nbflow.client.connection",
    "StoreError": "nbflow.store.port",
    "Task": "nbflow.authoring.task",
    "TaskFailed": "nbflow.authoring.words",
    "Worker": "nbflow.worker.worker",
    "boto3_client": "nbflow.server.inprocess",
    "csv": "nbflow.authoring.sources",
    "connect": "nbflow.client.connection",
    "disconnect": "nbflow.client.connection",
    "execution": "nbflow.client.listing",
    "executions": "nbflow.client.listing",
    "files": "nbflow.authoring.sources",
    "flow": "nbflow.client.flows",
    "gc": "nbflow.client.housekeeping",
    "json": "nbflow.authoring.sources",
    "jsonl": "nbflow.authoring.sources",
    "map": "nbflow.authoring.words",
    "notebook": "nbflow.authoring.task",
    "parallel": "nbflow.authoring.words",
    "parquet": "nbflow.authoring.sources",
    "progress": "nbflow.tasks.heard",
    "resume": "nbflow.client.resuming",
    "serve_activity": "nbflow.worker.serve",
    "sql": "nbflow.authoring.sources",
    "task": "nbflow.authoring.task",
    "wait": "nbflow.authoring.words",
}

__all__ = list(_HOME)
__version__ = "0.1.0"


if (
    not TYPE_CHECKING
):  # a type checker knows the names from above, and must not take any other for one of ours

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*_HOME, *(name for name in globals() if name.startswith("__"))])


def load_ipython_extension(shell: object) -> None:
    """``%load_ext nbflow``, which ``import nbflow`` in a notebook does by itself."""
    import_module("nbflow.jupyter").activate(shell)


def _activate() -> None:
    """In IPython, the import brings the magics and the panel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        load_ipython_extension(shell)


_activate()
