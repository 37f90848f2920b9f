"""The ItemProcessor of a Distributed Map as a definition of its own: what the children of a Map Run run."""

from collections.abc import Iterator

from nbflow.language.values import Json


def processor(definition: Json, name: str) -> dict[str, Json]:
    """The definition of the children of the Map state ``name``, which is valid and unique in its machine.

    The states inside speak the machine's query language where they name none of their own, not the Map's.
    """
    [state] = [state for each, state in _states(definition) if each == name]
    inner = state.get("ItemProcessor") or state["Iterator"]
    made = {field: inner[field] for field in ("Comment", "StartAt", "States") if field in inner}
    language = inner.get("QueryLanguage") or definition.get("QueryLanguage")
    return made if language is None else {"QueryLanguage": language, **made}


def _states(scope: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    for name, state in scope["States"].items():
        yield name, state
        for inner in (state.get("ItemProcessor"), state.get("Iterator"), *state.get("Branches", ())):
            if inner is not None:
                yield from _states(inner)
