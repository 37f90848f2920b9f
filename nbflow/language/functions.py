"""The functions that AWS adds to its query languages, as plain Python over JSON values.

:data:`FUNCTIONS` is the table of ASL's intrinsic functions (Appendix B); a few of them have a twin in AWS's
JSONata (``States.Hash`` and ``$hash``), and so the parts that both need are public. A function that cannot be
computed raises :class:`Invalid` with the reason; the two languages word the failure.

Where ASL leaves the details open, AWS's Java shows through, and so it does here: MathAdd rounds halves up,
all other numbers are cut towards zero, Format prints an object as ``{name=value}``, StringSplit drops empty
parts.
"""

import base64
import hashlib
import json
import math
import re
import uuid
from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Final, NamedTuple, NoReturn

from nbflow.language import paths
from nbflow.language.values import ABSENT, Chance, Json

_MAX_TEXT: Final = (
    10_000  # characters, for Base64Encode, Base64Decode and Hash (AWS guide, "Intrinsic functions")
)
_MAX_RANGE: Final = 1_000  # elements of an ArrayRange (the same)
_INT32: Final = range(-(2**31), 2**31)  # the numbers of MathAdd (the same)
_HASHES: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}
_TEMPLATE: Final = re.compile(r"\\(?P<escaped>['{}\\])|(?P<hole>\{\})|(?P<brace>[{}])")


class Invalid(Exception):
    """The arguments of a function are wrong. The message says why. Callers in this room catch it."""


class Function(NamedTuple):
    """A row of the table: how an intrinsic function is computed."""

    apply: Callable[..., Json]
    least: int
    """The smallest number of arguments."""
    most: float
    """The largest number of arguments, or infinity."""
    draws: bool = False
    """Whether the function wants a source of random bits before its arguments."""


def _array(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise Invalid(f"expected an array, but got {paths.kind(value)}")
    return value


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Invalid(f"expected an object, but got {paths.kind(value)}")
    return value


def string(value: Json) -> str:
    """A string as it is; raises Invalid for anything else."""
    if not isinstance(value, str):
        raise Invalid(f"expected a string, but got {paths.kind(value)}")
    return value


def _number(value: Json) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise Invalid(f"expected a number, but got {paths.kind(value)}")
    return value


def _finite(number: int | float) -> bool:
    return isinstance(number, int) or math.isfinite(number)  # an int may be too big for isfinite


def whole(value: Json) -> int:
    """A number cut towards zero, as by a cast in Java; raises Invalid for anything else."""
    return int(_number(value))


def _short(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise Invalid(f"the text has more than {_MAX_TEXT} characters")
    return text


def _format(template: Json, *values: Json) -> str:
    holes = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal holes
        if match["brace"]:
            raise Invalid(f"the template has an unmatched '{match['brace']}'")
        if match["escaped"]:
            return match["escaped"]
        holes += 1
        return _java_text(values[holes - 1]) if holes <= len(values) else ""

    text = _TEMPLATE.sub(fill, string(template))
    if holes != len(values):
        raise Invalid("number of arguments do not match the occurrences of {}.")
    return text


def _java_text(value: Json) -> str:
    """What Java's String.valueOf makes of a value: text as it is, ``{name=value}``, ``[a, b]``, ``1.0E9``."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_java_text(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_java_text, value)) + "]"
    if isinstance(value, float) and value and not 1e-3 <= abs(value) < 1e7:
        sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
        first, rest = str(digits[0]), "".join(map(str, digits[1:])) or "0"
        return f"{'-' * sign}{first}.{rest}E{int(exponent) + len(digits) - 1}"
    return paths.compact(value)


def parse_json(text: str) -> Json:
    """The value of a JSON text; an empty text is null, as for AWS. Raises ValueError for anything else."""
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_float)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _float(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_constant(digits)


def _string_to_json(text: Json) -> Json:
    try:
        return parse_json(string(text))
    except ValueError as error:
        raise Invalid(f"the string is not valid JSON: {error}") from error


def _array_partition(array: Json, size: Json) -> list[Json]:
    items, chunk = _array(array), whole(size)
    if chunk < 1:
        raise Invalid("the chunk size must be a positive integer")
    return [items[start : start + chunk] for start in range(0, len(items), chunk)]


def _array_range(first: Json, last: Json, step: Json) -> list[Json]:
    start, stop, stride = whole(first), whole(last), whole(step)
    if stride == 0:
        raise Invalid("the step must not be zero")
    numbers = range(start, stop + (1 if stride > 0 else -1), stride)
    if (stop - start) // stride >= _MAX_RANGE:
        raise Invalid(f"the range has more than {_MAX_RANGE} elements")
    return list(numbers)


def _array_get_item(array: Json, index: Json) -> Json:
    items, at = _array(array), whole(index)
    if not 0 <= at < len(items):
        raise Invalid(f"the index {at} is out of bounds for an array of length {len(items)}")
    return items[at]


def _identity(value: Json) -> Hashable:
    """A key that is equal exactly for equal JSON values: 1 is 1.0, but it is not true."""
    if isinstance(value, dict):
        return frozenset((name, _identity(member)) for name, member in value.items())
    if isinstance(value, list):
        return tuple(map(_identity, value))
    return (isinstance(value, bool), value)


def _array_contains(array: Json, value: Json) -> bool:
    wanted = _identity(value)
    return any(_identity(item) == wanted for item in _array(array))


def _array_unique(array: Json) -> list[Json]:
    first: dict[Hashable, Json] = {}
    for item in _array(array):
        first.setdefault(_identity(item), item)
    return list(first.values())


def _base64_encode(text: Json) -> str:
    return base64.b64encode(_short(string(text)).encode(errors="replace")).decode()


def _base64_decode(text: Json) -> str:
    """As lenient as AWS: other characters are skipped, the first ``=`` ends the data, padding may lack."""
    data = re.sub("[^A-Za-z0-9+/]", "", _short(string(text)).partition("=")[0])
    data = data[:-1] if len(data) % 4 == 1 else data  # six bits are no byte
    return base64.b64decode(data + "=" * (-len(data) % 4)).decode(errors="replace")


def digest(text: str, algorithm: Json) -> str | None:
    """The hexadecimal hash of a text's UTF-8 bytes; None if AWS has no such algorithm (names are exact)."""
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        return None
    return hashlib.new(_HASHES[algorithm], text.encode(errors="replace"), usedforsecurity=False).hexdigest()


def _hash(data: Json, algorithm: Json) -> str:
    hashed = digest(_short(_java_text(data)), algorithm)
    if hashed is None:
        raise Invalid(f"the algorithm must be one of {', '.join(_HASHES)}")
    return hashed


def _json_merge(left: Json, right: Json, deep: Json) -> dict[str, Json]:
    if deep is True:
        raise Invalid("only the shallow merge is supported; the third argument must be false")
    return {**_object(left), **_object(right)}


def _math_add(left: Json, right: Json) -> int:
    numbers = [math.floor(number) + (number % 1 >= 0.5) for number in (_number(left), _number(right))]
    if any(number not in _INT32 for number in (*numbers, sum(numbers))):
        raise Invalid("the numbers and their sum must be 32-bit integers")
    return sum(numbers)


def java_random(seed: int) -> float:
    """The first ``nextDouble()`` of ``new java.util.Random(seed)``, in [0, 1): AWS's seeded numbers."""
    mask = 2**48 - 1
    state = (seed ^ 0x5DEECE66D) & mask
    first = state = (state * 0x5DEECE66D + 0xB) & mask
    second = (state * 0x5DEECE66D + 0xB) & mask
    return float(((first >> 22) << 27) + (second >> 21)) / 2**53


def _math_random(chance: Chance, first: Json, last: Json, seed: Json = ABSENT) -> int:
    start, end = whole(first), whole(last)
    if start >= end:
        raise Invalid("the start must be less than the end")
    fraction = chance.random() if seed is ABSENT else java_random(whole(seed))
    return min(start + int(fraction * (end - start)), end - 1)


def _string_split(text: Json, delimiters: Json) -> list[Json]:
    """Each character of ``delimiters`` separates by itself, and empty parts are dropped."""
    one = "[" + re.escape(string(delimiters)) + "]" if delimiters else "(?!)"
    return [part for part in re.split(one, string(text)) if part]


def uuid4(chance: Chance) -> str:
    """A random UUID (RFC 4122, version 4) of the given bits."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


FUNCTIONS: Final[dict[str, Function]] = {
    "States.Array": Function(lambda *items: list(items), 0, math.inf),
    "States.ArrayContains": Function(_array_contains, 2, 2),
    "States.ArrayGetItem": Function(_array_get_item, 2, 2),
    "States.ArrayLength": Function(lambda array: len(_array(array)), 1, 1),
    "States.ArrayPartition": Function(_array_partition, 2, 2),
    "States.ArrayRange": Function(_array_range, 3, 3),
    "States.ArrayUnique": Function(_array_unique, 1, 1),
    "States.Base64Decode": Function(_base64_decode, 1, 1),
    "States.Base64Encode": Function(_base64_encode, 1, 1),
    "States.Format": Function(_format, 1, math.inf),
    "States.Hash": Function(_hash, 2, 2),
    "States.JsonMerge": Function(_json_merge, 3, 3),
    "States.JsonToString": Function(paths.compact, 1, 1),
    "States.MathAdd": Function(_math_add, 2, 2),
    "States.MathRandom": Function(_math_random, 2, 3, draws=True),
    "States.StringSplit": Function(_string_split, 2, 2),
    "States.StringToJson": Function(_string_to_json, 1, 1),
    "States.UUID": Function(uuid4, 0, 0, draws=True),
}
"""The intrinsic functions of ASL's Appendix B."""
