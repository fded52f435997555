"""The form of keys that encrypt secrets."""

import base64
import binascii

KEY_BYTES = 32
_STANDARD = str.maketrans("-_", "+/")


def secret_key(text: str) -> str:
    """Return a key in URL-safe base64. Raises ValueError, which does not quote the key."""
    try:
        key = base64.b64decode(text.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"a key is {KEY_BYTES} random bytes in base64; make one with `openssl rand -base64 {KEY_BYTES}`"
        )
    return base64.urlsafe_b64encode(key).decode()
