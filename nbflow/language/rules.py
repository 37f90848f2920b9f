"""What each object of a definition must keep beyond the types of its fields, as tables.

A rule looks at one :class:`~nbflow.language.sites.Site` and answers with diagnostics; :func:`check` runs them
over all sites. The rules that relate states to each other are in :mod:`nbflow.language.graph`.

Messages and codes are those of Step Functions where they are known. What it does not say (what is wrong
with a path, which name was meant) is the hint.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from nbflow.language import choice, integrations, intrinsics, jsonata, paths
from nbflow.language.sites import FIELDS, SCOPES, Diagnostic, Site, error, sites, speaks_jsonata
from nbflow.language.values import Json

# --- fields -----------------------------------------------------------------------------------------------

_NULLABLE: Final = frozenset(
    {"Comment", "InputPath", "OutputPath", "ResultPath", "Result", "Parameters", "Arguments", "Output"}
    | {"ItemSelector", "Items", "BatchInput"}
)

_NUMBERS: Final = frozenset(
    {"Seconds", "TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency", "MaxItems", "MaxItemsPerBatch"}
    | {"MaxInputBytesPerBatch", "ToleratedFailureCount", "ToleratedFailurePercentage"}
)
"""Numbers that may be computed, by the Path field beside them or by JSONata."""

_EXCLUSIVE: Final[tuple[tuple[str, ...], ...]] = (
    *((field, f"{field}Path") for field in (*sorted(_NUMBERS - {"Seconds"}), "Error", "Cause")),
    ("ItemSelector", "Parameters"),
)
"""Of these an object may have one. Seconds is among Wait's four."""

_NEXT_OR_END: Final = ("Next", "End")
_ONE_OF: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Pass": (_NEXT_OR_END,),
    "Task": (_NEXT_OR_END,),
    "Wait": (_NEXT_OR_END, ("SecondsPath", "Seconds", "TimestampPath", "Timestamp")),
    "Parallel": (_NEXT_OR_END,),
    "Map": (_NEXT_OR_END, ("ItemProcessor", "Iterator")),
}
"""Of these a state must have exactly one."""


def _nulls(site: Site) -> Iterator[Diagnostic]:
    for field, value in site.value.items():
        if value is None and field not in _NULLABLE and site.kind not in ("Rule", "ReaderConfig"):
            yield error(f"{site.location}/{field}", "Value cannot be null")


def _exclusive(site: Site) -> Iterator[Diagnostic]:
    present = {field for field, value in site.value.items() if not (field == "End" and value is False)}
    required = _ONE_OF.get(site.kind, ())
    for fields in (*required, *_EXCLUSIVE):
        count = sum(field in present for field in fields)
        names = f"[{', '.join(fields)}]"
        if count > 1:
            yield error(site.location, f"There should only be one of the following fields: {names}")
        elif count == 0 and fields in required:
            yield error(site.location, f"This object should have only one of the following fields: {names}")


_UNSUPPORTED: Final = {"Map": frozenset({"Arguments"}), "Succeed": frozenset({"Assign"})}
"""What a base class of the model has and this state has not."""
_JSONATA_ONLY: Final = frozenset({"Arguments", "Output", "Items", "Condition"})
_JSONPATH_ONLY: Final = frozenset({"Parameters", "ResultSelector", "Result", "Variable"})
"""And every field of the model whose name ends with Path."""


def _language(site: Site) -> Iterator[Diagnostic]:
    own, other = ("JSONata", "JSONPath") if site.jsonata else ("JSONPath", "JSONata")
    known = FIELDS.get(site.kind, frozenset(site.value))
    if site.kind == "Rule":
        known = known & (_JSONATA_ONLY | _JSONPATH_ONLY)
    for field in site.value:
        if field in _UNSUPPORTED.get(site.kind, ()):
            yield error(site.location, f"Field '{field}' is not supported")
            continue
        path_only = field in _JSONPATH_ONLY or field.endswith("Path")
        if field in known and (path_only if site.jsonata else field in _JSONATA_ONLY):
            yield error(
                site.location,
                f"The QueryLanguage is set to '{own}', but field '{field}' is only supported "
                f"for the '{other}' QueryLanguage",
            )


# --- paths, templates, expressions ------------------------------------------------------------------------

_REFERENCE_PATHS: Final = frozenset(
    {"ItemsPath", "ResultPath", "TimestampPath"} | {f"{number}Path" for number in _NUMBERS}
)
_JSONPATH_TEMPLATES: Final = frozenset(
    {"Parameters", "ResultSelector", "ItemSelector", "BatchInput", "Assign", "Credentials"}
)
_JSONATA_TEMPLATES: Final = _NUMBERS | {
    *("Arguments", "Output", "Items", "ItemSelector", "BatchInput", "Assign", "Credentials"),
    *("Timestamp", "Error", "Cause", "Condition"),
}

_RESULT_ROOT: Final = re.compile(r"\$($|[.\[])")
_PREFIX: Final = re.compile(r"Value is not a (valid JSONPath|Reference Path): ")
"""How the checks begin that speak to a person; here the message has said so already."""


def _no_reference(field: str, path: str) -> str | None:
    """What is wrong with a path that must name one place (ASL, "Reference Paths")."""
    if wrong := paths.check_reference(path):
        return wrong
    if field == "ResultPath" and not _RESULT_ROOT.match(path):
        return "a result goes into the state's input: write '$', '$.name' or '$['name']'"
    if field != "ItemsPath" and path.startswith("$$"):
        return "only the items of a Map can come from the context object"
    return None


def _paths(site: Site) -> Iterator[Diagnostic]:
    if site.jsonata or site.kind == "Rule":
        return
    for field, value in site.value.items():
        if not field.endswith("Path") or not isinstance(value, str):
            continue
        if field in _REFERENCE_PATHS:
            wrong, message = _no_reference(field, value), "Value is not a Reference Path"
        elif field in ("ErrorPath", "CausePath") and not value.startswith("$"):
            wrong, message = intrinsics.check(value), "Value must be a valid JSONPath."
        else:
            wrong, message = paths.check(value), "Value must be a valid JSONPath."
        if wrong:
            yield error(f"{site.location}/{field}", message, hint=_PREFIX.sub("", wrong))


def _looks_dynamic(value: Json) -> bool:
    return isinstance(value, str) and bool(re.match(r"\$(\$?[.\[]|\$?$)|States\.[A-Z]\w*\(", value))


def _template(location: str, template: Json) -> Iterator[Diagnostic]:
    """The payload template of a JSONPath state (ASL, "Payload Template")."""
    if isinstance(template, list):
        for index, each in enumerate(template):
            yield from _template(f"{location}[{index}]", each)
    if not isinstance(template, dict):
        return
    for key, value in template.items():
        if not key.endswith(".$"):
            if _looks_dynamic(value):
                message = (
                    f"The value appears to be a JSONPath or an intrinsic function, but '{key}' lacks '.$'"
                )
                yield Diagnostic("WARNING", "NO_DOLLAR", message, f"{location}/{key}")
            yield from _template(f"{location}/{key}", value)
            continue
        wrong: str | None = "it is no string"
        if isinstance(value, str):
            wrong = paths.check(value) if value.startswith("$") else intrinsics.check(value)
        if wrong:
            value_of = f"The value for the field '{key}'"
            message = f"{value_of} must be a valid JSONPath or a valid intrinsic function call"
            yield error(location, message, hint=_PREFIX.sub("", wrong))


def _expressions(location: str, value: Json) -> Iterator[Diagnostic]:
    """All strings of a JSONata template (ASL, "JSONata")."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _expressions(f"{location}/{key}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _expressions(f"{location}[{index}]", each)
    elif jsonata.is_expression(value):
        if wrong := jsonata.check(value):
            # What parses but may not be said, such as a reference to the context item, has a code of its own.
            kind = "UNSUPPORTED" if wrong.startswith("Reference to") else "INVALID"
            yield error(location, wrong, code=f"{kind}_JSONATA_EXPRESSION")
    elif isinstance(value, str) and value.startswith("{%"):
        yield error(location, "JSONata string must start with {% and end with %}")


def _templates(site: Site) -> Iterator[Diagnostic]:
    for field, value in site.value.items():
        location = f"{site.location}/{field}"
        if site.jsonata and field in _JSONATA_TEMPLATES:
            yield from _expressions(location, value)
        elif not site.jsonata and field in _JSONPATH_TEMPLATES:
            yield from _template(location, value)
        if field in _NUMBERS and isinstance(value, str) and not (site.jsonata and value.startswith("{%")):
            yield error(location, "Expected value of type Integer")
        if not site.jsonata and field in ("Error", "Cause") and _looks_dynamic(value):
            message = f"The value appears to be a path, but '{field}' does not end with 'Path'"
            yield Diagnostic("WARNING", "NO_PATH", message, location)


# --- single fields ----------------------------------------------------------------------------------------

_VARIABLE_LIMIT: Final = 80


def _variables(site: Site) -> Iterator[Diagnostic]:
    """The names in Assign: Unicode identifiers of at most 80 characters (ASL, "Variables")."""
    names = site.value.get("Assign")
    for key in names if isinstance(names, dict) else ():
        name = key if site.jsonata else key.removesuffix(".$")
        location = f"{site.location}/Assign/{key}"
        if name == "states":
            message = "Cannot assign to reserved variable '$states'."
            yield error(location, message, code="RESERVED_VARIABLE_NAME")
        elif len(name) > _VARIABLE_LIMIT:
            message = f"Invalid variable name '{name}': the variable name is too long."
            yield error(location, message, code="INVALID_VARIABLE_NAME")
        elif not name.isidentifier() or name.startswith("_"):
            message = f"Invalid variable name '{name}': the variable name contains invalid characters."
            hint = "letters, digits and underscores, a letter first"
            yield error(location, message, code="INVALID_VARIABLE_NAME", hint=hint)


def _task(site: Site) -> Iterator[Diagnostic]:
    resource, credentials = site.value.get("Resource"), site.value.get("Credentials")
    if isinstance(resource, str) and (wrong := integrations.check(resource)):
        yield error(f"{site.location}/Resource", wrong)
    if isinstance(credentials, dict):
        if isinstance(resource, str) and re.match(r"arn:[^:]+:states:[^:]+:[^:]+:activity:", resource):
            message = "The field 'Credentials' is not supported for activities"
            yield error(f"{site.location}/Credentials", message)
        elif not credentials.keys() & {"RoleArn", "RoleArn.$"}:
            yield error(f"{site.location}/Credentials", "The field 'RoleArn' is required but was missing")
    timeout, heartbeat = site.value.get("TimeoutSeconds"), site.value.get("HeartbeatSeconds")
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        message = "HeartbeatSeconds must be smaller than TimeoutSeconds"
        yield error(f"{site.location}/HeartbeatSeconds", message)


def _error_equals(site: Site) -> Iterator[Diagnostic]:
    """The wildcard stands alone in the last retrier or catcher (ASL, "Errors")."""
    for field in ("Retry", "Catch"):
        members = site.value.get(field)
        for index, member in enumerate(members if isinstance(members, list) else ()):
            names = member.get("ErrorEquals") if isinstance(member, dict) else None
            if not isinstance(names, list) or "States.ALL" not in names:
                continue
            if len(names) > 1 or index < len(members or ()) - 1:
                location = f"{site.location}/{field}[{index}]/ErrorEquals"
                yield error(location, "States.ALL must appear alone and at end of list")


def _wait(site: Site) -> Iterator[Diagnostic]:
    value = site.value.get("Timestamp")
    computed = site.jsonata and isinstance(value, str) and value.startswith("{%")
    if isinstance(value, str) and not computed and choice.instant(value) is None:
        yield error(f"{site.location}/Timestamp", "String does not match RFC3339 timestamp")


def _rule(site: Site) -> Iterator[Diagnostic]:
    # What _language and _templates have said already, in Step Functions' own words, is not repeated.
    foreign = _JSONPATH_ONLY if site.jsonata else _JSONATA_ONLY
    rule = {field: value for field, value in site.value.items() if field not in foreign}
    computed = str(rule.get("Condition")).startswith("{%")
    for pointer, message in choice.check_rule(rule, jsonata=site.jsonata, top=True):
        if not (computed and pointer == "/Condition"):
            yield error(site.location + pointer, message)


def _processor_config(site: Site) -> Iterator[Diagnostic]:
    mode, has_type = site.value.get("Mode"), "ExecutionType" in site.value
    if mode == "DISTRIBUTED" and not has_type:
        yield error(site.location, "These fields are required: [ExecutionType]")
    if mode == "INLINE" and has_type:
        yield error(site.location, "Field 'ExecutionType' is not supported")


_QUERIED: Final = ("Uri", "Query")


def _item_reader(site: Site) -> Iterator[Diagnostic]:
    """The InputType SQL, which is nbflow's own; what AWS has is accepted as AWS accepts it."""
    config = site.value.get("ReaderConfig")
    if not isinstance(config, dict) or config.get("InputType") != "SQL":
        return
    for field in config.keys() - {"InputType", "MaxItems", "MaxItemsPath"}:
        yield error(f"{site.location}/ReaderConfig", f"Field '{field}' is not supported with InputType SQL")
    if not str(site.value.get("Resource")).endswith(":s3:getObject"):
        message = "InputType SQL needs the Resource arn:aws:states:::s3:getObject"
        yield error(f"{site.location}/Resource", message)
    name = "Arguments" if site.jsonata else "Parameters"
    given = site.value.get(name, {})
    if isinstance(given, dict) and (
        missing := [each for each in _QUERIED if not given.keys() & {each, f"{each}.$"}]
    ):
        yield error(f"{site.location}/{name}", f"These fields are required: [{', '.join(missing)}]")


def _pass(site: Site) -> Iterator[Diagnostic]:
    result = site.value.get("Result")
    fields = result.items() if isinstance(result, dict) else [("", result)]
    if any(key.endswith(".$") or _looks_dynamic(value) for key, value in fields):
        message = "The Result of a Pass state is static: paths in it are not evaluated"
        yield Diagnostic("WARNING", "PASS_RESULT_IS_STATIC", message, f"{site.location}/Result")


_EVERYWHERE: Final = (_nulls, _exclusive, _paths, _templates, _variables, _error_equals)
_BY_KIND: Final[dict[str, Callable[[Site], Iterator[Diagnostic]]]] = {
    "Task": _task,
    "Wait": _wait,
    "Rule": _rule,
    "ProcessorConfig": _processor_config,
    "ItemReader": _item_reader,
    "Pass": _pass,
}


def check(definition: dict[str, Json]) -> Iterator[Diagnostic]:
    """All breaches of these rules, site by site."""
    machine = speaks_jsonata(definition, inherited=False)
    for site in sites(definition):
        if machine and site.kind not in SCOPES and site.value.get("QueryLanguage") == "JSONPath":
            message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
            yield error(site.location, message)
        else:
            yield from _language(site)
        for rule in _EVERYWHERE:
            yield from rule(site)
        if special := _BY_KIND.get(site.kind):
            yield from special(site)
