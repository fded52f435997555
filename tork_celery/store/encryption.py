"""Encryption of secrets at rest, with the keys of TORK_SECRET_KEY or of a file beside SQLite's.

An encrypted text is `enc:KEY_ID:TOKEN`: the id of its key and a Fernet token. Places that can be encrypted
never hold such a text in clear: they hold JSON objects and lists, or URLs.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Dialect, Engine

from tork_celery.domain.errors import ConfigurationError, SecretsUnreadable
from tork_celery.domain.secret_key import secret_key

_PREFIX = "enc:"
_KEY_ID_CHARS = 8
_ATTRIBUTE = "tork_cipher"  # of the dialect, which column types receive and which each engine has to itself


class Cipher:
    """Encrypts texts with the first of its keys, and decrypts those of any of them. Thread-safe."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are those of `domain.secret_key`, the newest first."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._key_ids = tuple(_key_id(key) for key in keys)

    @cached_property
    def _current(self) -> str:
        return f"{_PREFIX}{self._key_ids[0]}:"

    def encrypt(self, text: str) -> str:
        return self._current + self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Raises SecretsUnreadable, which names the missing key."""
        key_id, _, token = encrypted.removeprefix(_PREFIX).partition(":")
        if key_id not in self._key_ids:
            raise SecretsUnreadable(
                f"a secret in the datastore is encrypted with the key {key_id[:_KEY_ID_CHARS]}, which this "
                f"process does not have (it has {', '.join(self._key_ids)}): add it to TORK_SECRET_KEY, or "
                "restore the key file beside the SQLite file"
            )
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken:
            raise SecretsUnreadable(f"a secret in the datastore is damaged; its key is {key_id}") from None

    def is_current(self, encrypted: str) -> bool:
        """Return whether a text is encrypted with the newest key."""
        return encrypted.startswith(self._current)


def is_encrypted(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_PREFIX)


def use_cipher(engine: Engine, cipher: Cipher) -> None:
    """Encrypt secret columns of this engine. Call it before the first query."""
    setattr(engine.dialect, _ATTRIBUTE, cipher)


def cipher_of(dialect: Dialect) -> Cipher | None:
    """Return the cipher of the engine that has this dialect."""
    cipher: Cipher | None = getattr(dialect, _ATTRIBUTE, None)
    return cipher


def decrypt(dialect: Dialect, encrypted: str) -> str:
    """Raises SecretsUnreadable, also without a key."""
    cipher = cipher_of(dialect)
    if cipher is None:
        key_id = encrypted.removeprefix(_PREFIX)[:_KEY_ID_CHARS]
        raise SecretsUnreadable(
            f"secrets in the datastore are encrypted with the key {key_id}, and this process has none: set "
            "TORK_SECRET_KEY"
        )
    return cipher.decrypt(encrypted)


def read_or_create_key_file(path: Path) -> list[str]:
    """Return the keys in a file, one a line, the newest first. A missing file is created with a new key.

    Raises ConfigurationError.
    """
    try:
        if not path.exists():
            _create_key_file(path)
        return [secret_key(line.strip()) for line in path.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise ConfigurationError(f"the key file {path}: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"cannot use the key file {path}: {error.strerror}") from error


def _create_key_file(path: Path) -> None:
    """Create the file complete and with mode 0600. Of several processes, one creates it."""
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(Fernet.generate_key().decode() + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _key_id(key: str) -> str:
    """Return the public id of a key."""
    return hashlib.sha256(b"tork_celery key id:" + key.encode()).hexdigest()[:_KEY_ID_CHARS]
