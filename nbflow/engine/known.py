"""The artifacts that the store knows, as far as they are remembered here: by their hashes, what they are."""

from collections.abc import Collection, Sequence
from typing import Final

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.rows import artifact_of
from nbflow.store.port import Store

MOST_KNOWN: Final = 10_000
"""That are remembered; the store knows them all."""


class KnownArtifacts:
    """Of one engine, on its thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Artifact] = {}

    def add(self, artifacts: Sequence[Artifact]) -> None:
        """The store knows these from now on."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update((artifact.sha256, artifact) for artifact in artifacts)

    def of(self, hashes: Collection[str]) -> dict[str, Artifact]:
        """Those that the store knows: only these are loaded. Raises StoreError."""
        found = {sha: self._known[sha] for sha in hashes if sha in self._known}
        missing = [sha for sha in hashes if sha not in found]
        if missing:
            more = [artifact_of(row) for row in self._store.artifacts(missing).values()]
            self.add(more)
            found.update((artifact.sha256, artifact) for artifact in more)
        return found
