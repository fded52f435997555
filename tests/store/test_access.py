"""A datastore that refuses the settings is told apart from one that is away."""

from contextlib import closing
from pathlib import Path

import pytest

from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.store import Database, access


def failure(database: Database) -> DatastoreUnavailable:
    """Return the error of a transaction."""
    with pytest.raises(DatastoreUnavailable) as failed, database.transaction():
        pass
    return failed.value


def check(url: str) -> None:
    with closing(Database.connect(url)) as database:
        access.check(database, failure(database))


def test_missing_directory_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"TORK_DATASTORE_URL: .*unable to open database file"):
        check(f"sqlite:///{tmp_path}/missing/tork.db")


def test_directory_in_place_of_the_file_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "tork.db").mkdir()

    with pytest.raises(ConfigurationError, match="TORK_DATASTORE_URL"):
        check(f"sqlite:///{tmp_path}/tork.db")


def test_other_failure_of_sqlite_is_an_outage(tmp_path: Path) -> None:
    with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db")) as database:
        access.check(database, DatastoreUnavailable("the datastore does not answer: database is locked"))


def test_server_that_does_not_answer_is_away() -> None:
    check("postgresql://ada:secret@127.0.0.1:1/tork")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("tork:", "tork:wrong"), "password authentication failed"),
        (("tork:", "bob:"), "password authentication failed"),
        (("/postgres", "/missing"), 'database "missing" does not exist'),
    ],
)
def test_refused_user_or_database_is_a_wrong_setting(
    postgresql_url: str, change: tuple[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        check(postgresql_url.replace(*change))

    assert postgresql_url.partition("@")[0].rpartition(":")[2] not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        "sorry, too many clients already",
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
    ],
)
def test_server_that_accepts_connections_again_was_away(postgresql_url: str, words: str) -> None:
    error = DatastoreUnavailable(f"the datastore does not answer: FATAL: {words}")

    with closing(Database.connect(postgresql_url)) as database:
        access.check(database, error)
