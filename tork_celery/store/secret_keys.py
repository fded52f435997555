"""The key that encrypts secrets at rest: its check at start, and its rotation."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    TableClause,
    and_,
    column,
    make_url,
    or_,
    select,
    table,
    tuple_,
    update,
)
from sqlalchemy.exc import ArgumentError

from tork_celery.domain.errors import ConfigurationError, SecretsUnreadable
from tork_celery.store import nodes
from tork_celery.store.column_types import EncryptedType
from tork_celery.store.database import Database
from tork_celery.store.encryption import Cipher, cipher_of, decrypt, read_or_create_key_file
from tork_celery.store.tables import identity, metadata

_BATCH = 50  # rows of one transaction
_PAUSE_S = 0.1  # before locked rows are tried again
_CHECKED_TEXT = "tork_celery"


def load_cipher(url: str, keys: Sequence[str]) -> Cipher | None:
    """Return the cipher of the datastore at `url`; None if it has no key.

    SQLite has a key file beside its file. It is created if there are no `keys`. Otherwise it is read if it
    exists, for secrets from before there were `keys`. Raises ConfigurationError.
    """
    path = _key_file(url)
    if path is not None and (not keys or path.exists()):
        keys = [*keys, *read_or_create_key_file(path)]
    return Cipher(keys) if keys else None


def _key_file(url: str) -> Path | None:
    """Return the path of the key file; None for other datastores and for invalid URLs."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(f"{parsed.database}.key")


def check(database: Database) -> bool:
    """Return whether secrets are stored encrypted. Raises ConfigurationError if this process lacks their key.

    The first process with a key stores a check value, which later ones must be able to decrypt.
    """
    dialect = database.engine.dialect
    with database.reading() as tx:
        stored = tx.scalar(select(identity.c.secret_key_check))
    try:
        if stored is not None:
            decrypt(dialect, stored)
    except SecretsUnreadable as error:
        raise ConfigurationError(str(error)) from error
    cipher = cipher_of(dialect)
    if stored is None and cipher is not None:
        with database.transaction() as tx:
            nodes.cluster_id(tx)  # creates the row
            _store_check(tx, cipher, only_if_missing=True)
    return cipher is not None


def rotate(database: Database) -> int:
    """Encrypt all secrets with the newest key, also those that are stored in clear. Return the number of
    changed rows.

    Safe while other processes run: each batch is a transaction, and rows that others have locked are tried
    again. Raises ConfigurationError without a key, SecretsUnreadable if a key is missing.
    """
    cipher = cipher_of(database.engine.dialect)
    if cipher is None:
        raise ConfigurationError("there is no key to encrypt secrets with: set TORK_SECRET_KEY")
    changed = sum(_rotate_table(database, cipher, secret) for secret in _secret_tables())
    with database.transaction() as tx:
        nodes.cluster_id(tx)
        _store_check(tx, cipher)
    return changed


@dataclass(frozen=True, slots=True)
class _SecretTable:
    """A table with encrypted columns, as the datastore has it: `rows` reads and writes without decryption."""

    rows: TableClause
    key: Sequence[str]
    types: dict[str, EncryptedType[Any]]

    @classmethod
    def of(cls, name: str, columns: Sequence[Column[Any]], key: Sequence[str]) -> "_SecretTable":
        types = {each.name: each.type for each in columns if isinstance(each.type, EncryptedType)}
        plain = [column(each.name, _plain_type(each)) for each in columns]
        return cls(table(name, *plain), key, types)

    def key_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in self.key)

    def reencrypted(self, row: Any, cipher: Cipher, tx: Connection) -> dict[str, Any]:
        """Return the columns of a row that are not encrypted with the newest key, as they are to be."""
        stored = {name: getattr(row, name) for name in self.types}
        new = {
            name: type_.reencrypted(stored[name], cipher, tx.dialect) for name, type_ in self.types.items()
        }
        return {name: value for name, value in new.items() if value != stored[name]}


def _secret_tables() -> Iterator[_SecretTable]:
    for each in metadata.sorted_tables:
        columns = [c for c in each.columns if c.primary_key or isinstance(c.type, EncryptedType)]
        secret = _SecretTable.of(each.name, columns, [c.name for c in each.primary_key])
        if secret.types:
            yield secret


def _plain_type(secret: Column[Any]) -> Any:
    return cast(Any, secret.type).impl if isinstance(secret.type, EncryptedType) else secret.type


def _rotate_table(database: Database, cipher: Cipher, secret: _SecretTable) -> int:
    """Repeat passes over the table until one finds nothing to do: rows may have been locked."""
    changed = 0
    while True:
        missed = False
        for keys in _outdated(database, cipher, secret):
            done = _rotate_rows(database, cipher, secret, keys)
            changed += done
            missed |= done < len(keys)
        if not missed:
            return changed
        time.sleep(_PAUSE_S)


def _outdated(database: Database, cipher: Cipher, secret: _SecretTable) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the keys of rows to change, in batches. No transaction is open meanwhile."""
    key = tuple_(*(secret.rows.c[name] for name in secret.key))
    query = select(secret.rows).order_by(*(secret.rows.c[name] for name in secret.key)).limit(_BATCH)
    last: tuple[Any, ...] | None = None
    while True:
        with database.reading() as tx:
            rows = tx.execute(query if last is None else query.where(key > tuple_(*last))).all()
            outdated = [secret.key_of(row) for row in rows if secret.reencrypted(row, cipher, tx)]
        if outdated:
            yield outdated
        if len(rows) < _BATCH:
            return
        last = secret.key_of(rows[-1])


def _rotate_rows(
    database: Database, cipher: Cipher, secret: _SecretTable, keys: Sequence[tuple[Any, ...]]
) -> int:
    """Change those of the rows that nobody has locked. Locks no row for long, and waits for none."""
    matches = or_(*(_matches(secret, key) for key in keys))
    query = select(secret.rows).where(matches).with_for_update(skip_locked=True, key_share=True)
    changed = 0
    with database.transaction() as tx:
        for row in tx.execute(query).all():
            if values := secret.reencrypted(row, cipher, tx):
                tx.execute(update(secret.rows).where(_matches(secret, secret.key_of(row))).values(values))
                changed += 1
    return changed


def _matches(secret: _SecretTable, key: tuple[Any, ...]) -> Any:
    return and_(*(secret.rows.c[name] == value for name, value in zip(secret.key, key, strict=True)))


def _store_check(tx: Connection, cipher: Cipher, *, only_if_missing: bool = False) -> None:
    query = update(identity).values(secret_key_check=cipher.encrypt(_CHECKED_TEXT))
    tx.execute(query.where(identity.c.secret_key_check.is_(None)) if only_if_missing else query)
