"""Between the machine's values and the store's rows."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Final

from nbflow.artifacts.shelf import Artifact
from nbflow.language.paths import compact, spelt
from nbflow.language.values import Json
from nbflow.machine.run import Run
from nbflow.store.rows import ArtifactRow, Closing, CodeRow, ExecutionRow, Redriving
from nbflow.tasks.job import Code


def closing(run: Run) -> Closing:
    """How the execution ended, for its row."""
    output = spelt(compact(run.output)) if run.status == "SUCCEEDED" else None
    return Closing(run.status, output, spelt(run.error), spelt(run.cause), run.stopped_at)


def redriving(run: Run, row: ExecutionRow) -> Redriving:
    """That the execution was redriven, for its row; ``row`` has the tokens and bindings of this redrive."""
    assert run.redriven_at is not None
    return Redriving(
        run.redrives, run.redriven_at, row.redrive_tokens, row.bindings, row.owner, row.directory
    )


def artifact_row(artifact: Artifact, now: float) -> ArtifactRow:
    """The artifact as the store remembers it."""
    fields = asdict(artifact)
    fields["preview"] = None if artifact.preview is None else compact(artifact.preview)
    return ArtifactRow(**fields, made_at=now, touched_at=now)


_BOUND: Final = ("kind", "name", "path", "sha256", "keywords", "on", "returns")
"""What an execution remembers of the code of a task: of one content, there may be several."""

_ALSO: Final = ("resources", "concurrency")
"""Remembered where it is said: what was recorded before there were such options has none."""


def bindings(codes: Mapping[str, Code]) -> str:
    """What does its tasks, by the resource that names it, for the execution's row."""
    return json.dumps({resource: _bound(code) for resource, code in codes.items()})


def _bound(code: Code) -> dict[str, Json]:
    said = [name for name in _ALSO if getattr(code, name)]
    return {name: getattr(code, name) for name in [*_BOUND, *said]}


@lru_cache(256)
def code_row(code: Code) -> CodeRow:
    """The content of the code, as the store remembers it."""
    about = json.dumps({"sources": code.sources, "source": code.source, "python": code.python})
    return CodeRow(code.sha256, code.kind, code.name, code.content, about)


def code_of(bound: Mapping[str, Json], row: CodeRow) -> Code:
    """The code that an execution and the store remember."""
    about = json.loads(row.about)
    sources = tuple((name, text) for name, text in about["sources"])
    resources = tuple((name, amount) for name, amount in bound.get("resources", ()))
    return Code(
        **{**bound, "resources": resources},
        content=row.content,
        sources=sources,
        source=about.get("source", ""),
        python=about["python"],
    )


def artifact_of(row: ArtifactRow) -> Artifact:
    """The artifact that the store remembers."""
    preview = None if row.preview is None else json.loads(row.preview)
    return Artifact(row.sha256, row.kind, row.bytes, row.rows, row.columns, row.file, preview)
