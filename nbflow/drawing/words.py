"""Words for pictures: how wide a text is, how it is broken or cut, and what a condition or a state says in brief."""

from typing import Final
from unicodedata import combining, east_asian_width

from nbflow.language import model
from nbflow.language.choice import OPERATORS
from nbflow.language.values import Json

TITLE_SIZE: Final = 13.0
"""Pixels of a state's name."""
TITLE_WIDTH: Final = 224.0
"""Pixels after which a name is broken; it has at most two lines."""
LABEL_SIZE: Final = 11.0
"""Pixels of everything smaller."""
LABEL_WIDTH: Final = 200.0
"""Pixels after which the label of an edge is cut."""

SOON: Final = 5.0
"""Seconds before which nobody can tell how long something will take."""
LITTLE: Final = 0.05
"""The part that must be done before that."""

_EM: Final = {
    **dict.fromkeys("ijl.,:;'|!`", 0.37),
    **dict.fromkeys(' ftrI()[]{}-/\\"*', 0.44),
    **dict.fromkeys("mwMW@%&—…", 1.02),
}
"""Widths of characters that are far from the usual, in ems of the bold face of a wide system font (DejaVu Sans)."""


def status_word(status: str, *, interrupted: bool) -> str:
    """The status of a run for people: RUNNING says nothing of whether anybody goes on with it."""
    return f"{status} (interrupted)" if interrupted else status


def width_of(text: str, size: float = TITLE_SIZE) -> float:
    """About how many pixels wide a text is, at a font size in pixels; rather too wide than too narrow."""
    return sum(map(_em, text)) * size


def _em(character: str) -> float:
    known = _EM.get(character)
    if known is not None:
        return known
    if east_asian_width(character) in "WF":
        return 1.05
    if combining(character):
        return 0.0
    return 0.77 if character.isupper() else 0.66


def cut(text: str, width: float, size: float = LABEL_SIZE) -> str:
    """The text, or its beginning and ``…``, so that it is at most so many pixels wide."""
    if width_of(text, size) <= width:
        return text
    end = len(text)
    while end and width_of(f"{text[:end]}…", size) > width:
        end -= 1
    return f"{text[:end].rstrip()}…"


def lines(name: str) -> list[str]:
    """A state's name as one or two lines, broken between words where there is a place, else anywhere."""
    name = " ".join(name.split()) or name
    if width_of(name) <= TITLE_WIDTH:
        return [name]
    fits = next(at for at in range(len(name), 0, -1) if width_of(name[:at]) <= TITLE_WIDTH)
    # A little before the end is better than within a word.
    late = range(fits, fits // 2, -1)
    between = [at for at in late if name[at] == " "] or [at for at in late if name[at - 1] in _BREAKS]
    at = between[0] if between else fits
    return [name[:at].rstrip(), cut(name[at:].lstrip(), TITLE_WIDTH, TITLE_SIZE)]


_BREAKS: Final = "-_/.,:;(["
"""After these a name can be broken, too."""

_RELATIONS: Final = {
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "LessThanEquals": "≤",
    "GreaterThanEquals": "≥",
    "Matches": "matches",
}
_TYPES: Final = ("String", "Numeric", "Boolean", "Timestamp")


def plain(text: str) -> str:
    """A text for a terminal, in one line: what is not printable (controls, reversed directions) becomes ``�``."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def printable(text: str) -> str:
    """A text for XML and HTML, not escaped: characters that XML cannot hold become ``�``."""
    return "".join(c if _is_xml(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_xml(code: int) -> bool:
    """XML 1.0, production 2 (Char)."""
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


def condition(rule: dict[str, Json]) -> str:
    """A rule of a Choice in few words: ``total > 5``, ``name is present``, or its JSONata."""
    written = rule.get("Condition")
    if isinstance(written, str):
        text = " ".join(written.strip().removeprefix("{%").removesuffix("%}").split())
        # What decides is the value that comes in: a state before this one has computed the answer.
        return "true" if text == "$states.input" else text
    if written is not None:
        return str(written).lower()
    return _compared(rule)


def _compared(rule: dict[str, Json]) -> str:
    for name, operand in rule.items():
        if name in ("And", "Or") and isinstance(operand, list):
            return f" {name.lower()} ".join(_inner(each) for each in operand)
        if name == "Not" and isinstance(operand, dict):
            return f"not {_inner(operand)}"
        if name in OPERATORS:
            return _comparison(_bare(rule.get("Variable")), name, operand)
    return ""


def _inner(rule: Json) -> str:
    if not isinstance(rule, dict):
        return ""
    text = _compared(rule)
    return f"({text})" if "And" in rule or "Or" in rule else text


def _comparison(variable: str, name: str, operand: Json) -> str:
    if name.startswith("Is"):
        asked = "".join(f" {each.lower()}" if each.isupper() else each for each in name[2:]).strip()
        return f"{variable} is {asked}" if operand else f"{variable} is not {asked}"
    value = _bare(operand) if name.endswith("Path") else _literal(operand)
    kind = next(kind for kind in _TYPES if name.startswith(kind))
    return f"{variable} {_RELATIONS[name.removeprefix(kind).removesuffix('Path')]} {value}"


def _bare(path: Json) -> str:
    return str(path).removeprefix("$.")


def _literal(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"“{value}”" if isinstance(value, str) else str(value)


def caught(catcher: model.Catcher) -> str:
    """What a Catch takes, in few words."""
    return ", ".join("any error" if name == "States.ALL" else name for name in catcher.error_equals)


def kind_of(state: model.AnyState) -> str:
    """What a state is, in a word or two."""
    match state:
        case model.Wait(seconds=int(seconds)):
            return f"Wait {duration(seconds)}"
        case model.Wait(timestamp=str(timestamp)) if not timestamp.startswith("{%"):
            return "Wait until"
        case model.Map(item_processor=model.ItemProcessor(processor_config=config)) if (
            config.mode == "DISTRIBUTED"
        ):
            return "Distributed Map"
        case _:
            return state.type


def duration(seconds: float) -> str:
    """A length of time with two or three digits: ``0.03 s``, ``8.2 s``, ``3 min 05 s``, ``2 h 14 min``."""
    seconds = max(seconds, 0.0)
    if seconds < 0.995:
        return "0 s" if seconds == 0 else f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s") if isinstance(seconds, int) else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def left(done: float, total: float | None, seconds: float) -> str:
    """How long the rest will take at the pace so far: ``about 3 min left``; "" where that cannot be told.

    So much has been done of ``total`` in so many seconds.
    """
    if total is None or seconds < SOON or not LITTLE * total <= done < total:
        return ""
    return f"about {_rough((total - done) * seconds / done)} left"


def _rough(seconds: float) -> str:
    """A length of time in one number, or in two where one would say little."""
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 595:
        hours, tens = divmod(round(minutes / 10), 6)
        return f"{hours} h {tens}0 min" if tens else f"{hours} h"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} d"
