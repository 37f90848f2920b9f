"""Payload templates: JSON with holes (ASL, "Payload Template"; AWS guide, "Transforming data with JSONata").

In JSONPath a member whose name ends in ``.$`` holds a path or an intrinsic function, and loses that ending.
In JSONata every string ``{% … %}`` is an expression. Either way, arrays and objects are walked to any depth.
"""

from nbflow.language import intrinsics, jsonata, paths
from nbflow.language.values import Failure, Json, Scope


def fill(template: Json, scope: Scope, *, jsonata: bool, field: str) -> Json | Failure:
    """The template with its holes filled in; the very template, if it has none.

    ``field`` is where it stands (``Parameters``, ``Arguments``, ``Choices[0]/Output``). The location of a
    JSONata failure goes on from there, as AWS writes it: ``Arguments/tags[0]/name``.

    The first failure is the result: those of :func:`paths.read` and :func:`intrinsics.evaluate`, or of
    :func:`jsonata.evaluate`.
    """
    return _fill_expressions(template, scope, field) if jsonata else _fill_paths(template, scope)


def _fill_paths(template: Json, scope: Scope) -> Json | Failure:
    if isinstance(template, dict):
        return _fill_object(template, scope)
    if not isinstance(template, list):
        return template
    filled, changed = [], False
    for item in template:
        value = _fill_paths(item, scope)
        if isinstance(value, Failure):
            return value
        changed = changed or value is not item
        filled.append(value)
    return filled if changed else template


def _fill_object(template: dict[str, Json], scope: Scope) -> Json | Failure:
    filled, changed = {}, False
    for name, member in template.items():
        hole = name.endswith(".$")
        value = _evaluate(member, scope, name) if hole else _fill_paths(member, scope)
        if isinstance(value, Failure):
            return value
        changed = changed or hole or value is not member
        filled[name[:-2] if hole else name] = value
    return filled if changed else template


def _evaluate(text: Json, scope: Scope, field: str) -> Json | Failure:
    """What a member whose name ends in ``.$`` stands for."""
    if not isinstance(text, str):
        must = "must be a valid JSONPath or a valid intrinsic function call"
        return Failure("States.Runtime", f"The value for the field '{field}' {must}")
    if text.startswith("$"):
        return paths.read(text, scope, field=field)
    return intrinsics.evaluate(text, scope, field=field)


def _fill_expressions(template: Json, scope: Scope, location: str) -> Json | Failure:
    if isinstance(template, str):
        expression = jsonata.is_expression(template)
        return jsonata.evaluate(template, scope, location=location) if expression else template
    if isinstance(template, dict):
        filled: Json = {}
        places = ((name, f"/{name}", member) for name, member in template.items())
    elif isinstance(template, list):
        filled = [None] * len(template)
        places = ((index, f"[{index}]", item) for index, item in enumerate(template))
    else:
        return template
    changed = False
    for key, place, member in places:
        value = _fill_expressions(member, scope, location + place)
        if isinstance(value, Failure):
            return value
        changed = changed or value is not member
        filled[key] = value
    return filled if changed else template
