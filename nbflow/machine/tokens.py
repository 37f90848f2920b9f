"""Task tokens: opaque texts that only we make, so that what is no token can be told from one that we do not know.

A token is 32 random bytes and their checksum, in the characters that URLs and shells take as they are. Whoever holds
one may end the task (AWS guide, "Wait for a callback with the task token").
"""

import base64
import binascii
from typing import Final

from nbflow.language.values import Chance

_RANDOM: Final = 32
_CHECK: Final = 4


def make(chance: Chance) -> str:
    """A new token."""
    secret = chance.getrandbits(_RANDOM * 8).to_bytes(_RANDOM, "big")
    return _text(secret + _checksum(secret))


def is_token(text: str) -> bool:
    """Whether :func:`make` has made this text."""
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        return False
    whole = len(data) == _RANDOM + _CHECK and _checksum(data[:_RANDOM]) == data[_RANDOM:]
    return whole and text == _text(data)  # the decoder takes more than one spelling


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _checksum(secret: bytes) -> bytes:
    return binascii.crc32(secret).to_bytes(_CHECK, "big")
