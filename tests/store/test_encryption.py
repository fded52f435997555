"""Secrets are encrypted at rest, and readable with every key that the process has."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import String, cast, select

from tests.domain.samples import submission
from tests.store.stores import sqlite_url
from tork_celery.domain.definition import JobDefinition, Registry, Schedule, TaskDefinition, Webhook
from tork_celery.domain.errors import ConfigurationError, SecretsUnreadable
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.scheduled_job import new as new_schedule
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store import (
    Database,
    job_pages,
    jobs,
    scheduled_jobs,
    secret_keys,
    tasks,
    webhook_queue,
)
from tork_celery.store.encryption import Cipher, read_or_create_key_file
from tork_celery.store.tables import metadata

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
SECRET = "p4ssw0rd-of-ada"
TASK = TaskDefinition(
    name="a task",
    image="busybox",
    run=f"echo {SECRET}",
    cmd=(SECRET,),
    env={"TOKEN": SECRET},
    registry=Registry(username="ada", password=SECRET),
)
DEFINITION = JobDefinition(
    name="a job",
    tasks=(TASK,),
    inputs={"PASSWORD": SECRET, "hidden": "enc:no:token", "inputs": "enc:no:token"},
    secrets={"key": SECRET, "odd": "enc:00000000:no token"},
    webhooks=(Webhook(url="http://there", headers={"Authorization": SECRET}),),
    hidden=(SECRET,),
)
CALL = WebhookCall(
    stream="s", job_id="j", event="e", url=f"http://there/{SECRET}", headers={"X": SECRET}, body="{}"
)

Open = Callable[..., Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens one migrated datastore with these keys."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    opened = []

    def open_(*keys: str) -> Database:
        opened.append(Database.connect(url, cipher=Cipher(keys) if keys else None))
        return opened[-1]

    yield open_
    for database in opened:
        database.close()


def store_secrets(database: Database) -> tuple[str, ScheduledJob]:
    """Store a job, a task, a scheduled job and a webhook call; return the job's id and the scheduled job."""
    with database.transaction() as tx:
        plan = submission(TASK, now=database.now(tx))
        job = replace(plan.job, definition=DEFINITION)
        jobs.add(tx, [job])
        tasks.add(tx, [replace(plan.added[0], definition=TASK, scope={"item": SECRET})])
        scheduled = replace(DEFINITION, schedule=Schedule(cron="@daily"))
        schedule = new_schedule(scheduled, now=database.now(tx), id_="5" * 32)
        scheduled_jobs.add(tx, schedule)
        webhook_queue.add(tx, [CALL])
    return job.id, schedule


def check_secrets(database: Database, job_id: str, schedule: ScheduledJob) -> None:
    """Check that all that `store_secrets` stored is read as it was."""
    with database.transaction() as tx:
        job = jobs.get(tx, job_id)
        assert job is not None
        assert job.definition == DEFINITION
        [task] = tasks.of_job(tx, job_id)
        assert (task.definition, task.scope) == (TASK, {"item": SECRET})
        assert {SECRET, *DEFINITION.secrets.values()} == jobs.secrets(tx, job_id)
        [listed], _ = job_pages.page(tx, number=1, size=1)
        assert (listed.definition.inputs, listed.definition.hidden) == (DEFINITION.inputs, (SECRET,))
        assert scheduled_jobs.get(tx, schedule.id) == schedule
        claimed = webhook_queue.claim(tx, lease_s=0.0)
        assert claimed is not None
        assert webhook_queue.get(tx, claimed) == CALL


def stored_text(database: Database) -> str:
    """Return all columns of all rows as the datastore has them."""
    with database.reading() as tx:
        return "\n".join(
            str(value)
            for table in metadata.sorted_tables
            for row in tx.execute(select(*(cast(column, String) for column in table.columns)))
            for value in row
        )


def test_no_secret_is_stored_in_clear(open_with: Open) -> None:
    database = open_with(NEW)
    stored = store_secrets(database)

    assert SECRET not in stored_text(database)
    check_secrets(database, *stored)


def test_without_a_key_secrets_are_stored_and_read_in_clear(open_with: Open) -> None:
    database = open_with()
    stored = store_secrets(database)

    assert SECRET in stored_text(database)
    check_secrets(database, *stored)


def test_rows_in_clear_are_read_with_a_key(open_with: Open) -> None:
    stored = store_secrets(open_with())

    check_secrets(open_with(NEW), *stored)


def test_rows_of_an_older_key_are_read(open_with: Open) -> None:
    stored = store_secrets(open_with(OLD))

    check_secrets(open_with(NEW, OLD), *stored)


@pytest.mark.parametrize("keys", [(), (NEW,)])
def test_missing_key_is_an_error_that_names_the_setting(open_with: Open, keys: tuple[str, ...]) -> None:
    job_id, schedule = store_secrets(open_with(OLD))
    database = open_with(*keys)

    with database.transaction() as tx:
        for read in (
            lambda: jobs.get(tx, job_id),
            lambda: tasks.of_job(tx, job_id),
            lambda: job_pages.page(tx, number=1, size=1),
            lambda: scheduled_jobs.get(tx, schedule.id),
        ):
            with pytest.raises(
                SecretsUnreadable, match=r"encrypted with the key [0-9a-f]{8}.*TORK_SECRET_KEY"
            ):
                read()


def test_damaged_secret_is_an_error() -> None:
    encrypted = Cipher([NEW]).encrypt(SECRET)

    with pytest.raises(SecretsUnreadable, match="is damaged"):
        Cipher([NEW]).decrypt(encrypted[:-6] + "AAAA==")


@pytest.mark.parametrize("before", [(), (OLD,)])
def test_rotation_encrypts_everything_with_the_newest_key(open_with: Open, before: tuple[str, ...]) -> None:
    stored = store_secrets(open_with(*before))
    rotating = open_with(NEW, OLD)

    assert secret_keys.rotate(rotating) == 5  # job, definition, task, schedule, webhook call
    assert secret_keys.rotate(rotating) == 0
    assert SECRET not in stored_text(rotating)
    check_secrets(open_with(NEW), *stored)


def test_rotation_takes_many_rows_in_batches(open_with: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_keys, "_BATCH", 3)
    old = open_with(OLD)
    for number in range(10):
        with old.transaction() as tx:
            plan = submission(TASK, now=1.0)
            jobs.add(tx, [replace(plan.job, id=f"{number:032}", definition=DEFINITION)])

    assert secret_keys.rotate(open_with(NEW, OLD)) == 20
    with open_with(NEW).reading() as tx:
        assert all(jobs.get(tx, f"{number:032}") for number in range(10))


def test_rotation_tries_locked_rows_again(open_with: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer, so a batch waits there; on PostgreSQL it skips the row."""
    old = open_with(OLD)
    if old.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows")
    job_id, schedule = store_secrets(old)
    lock = old.transaction()
    tx = lock.__enter__()
    jobs.lock(tx, job_id)
    pauses: list[float] = []

    def unlock(seconds: float) -> None:
        pauses.append(seconds)
        lock.__exit__(None, None, None)

    monkeypatch.setattr("tork_celery.store.secret_keys.time.sleep", unlock)

    assert secret_keys.rotate(open_with(NEW, OLD)) == 5
    assert len(pauses) == 1
    check_secrets(open_with(NEW), job_id, schedule)


def test_rotation_without_a_key_is_rejected(open_with: Open) -> None:
    with pytest.raises(ConfigurationError, match="set TORK_SECRET_KEY"):
        secret_keys.rotate(open_with())


def test_start_with_a_wrong_key_is_rejected(open_with: Open) -> None:
    assert not secret_keys.check(open_with())
    assert secret_keys.check(open_with(OLD))

    assert secret_keys.check(open_with(NEW, OLD))
    for keys in ((), (NEW,)):
        with pytest.raises(ConfigurationError, match="TORK_SECRET_KEY"):
            secret_keys.check(open_with(*keys))


def test_old_key_is_not_needed_after_rotation(open_with: Open) -> None:
    secret_keys.check(open_with(OLD))
    secret_keys.rotate(open_with(NEW, OLD))

    assert secret_keys.check(open_with(NEW))


# ---------------------------------------------------------------- key files


def test_key_file_is_created_private_and_read_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tork.db"
    first = secret_keys.load_cipher(url, ())
    second = secret_keys.load_cipher(url, ())

    assert first is not None
    assert second is not None
    assert second.decrypt(first.encrypt(SECRET)) == SECRET
    assert (tmp_path / "tork.db.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["tork.db.key"]


def test_key_file_is_not_created_beside_a_setting(tmp_path: Path) -> None:
    assert secret_keys.load_cipher(f"sqlite:///{tmp_path}/tork.db", [NEW]) is not None
    assert list(tmp_path.iterdir()) == []


def test_key_file_stays_readable_after_a_change_to_the_setting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tork.db"
    before = secret_keys.load_cipher(url, ())
    assert before is not None
    encrypted = before.encrypt(SECRET)

    cipher = secret_keys.load_cipher(url, [NEW])

    assert cipher is not None
    assert cipher.decrypt(encrypted) == SECRET
    assert Cipher([NEW]).decrypt(cipher.encrypt(SECRET)) == SECRET


def test_postgresql_and_memory_have_no_key_file() -> None:
    assert secret_keys.load_cipher("postgresql://there/tork", ()) is None
    assert secret_keys.load_cipher("sqlite://", ()) is None


def test_invalid_key_file_is_rejected_without_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "tork.db.key"
    path.write_text("no-key-at-all\n")

    with pytest.raises(ConfigurationError, match=re.escape(f"the key file {path}: a key is 32 ")) as raised:
        read_or_create_key_file(path)
    assert "no-key-at-all" not in str(raised.value)


def test_unwritable_directory_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot use the key file .*: No such file"):
        read_or_create_key_file(tmp_path / "missing" / "tork.db.key")


def test_datastores_with_other_keys_do_not_share_definitions(tmp_path: Path) -> None:
    """Large definitions are cached after decryption."""
    large = JobDefinition(name="large", tasks=(TASK,) * 500)
    with closing(Database.connect(sqlite_url(tmp_path), cipher=Cipher([OLD]))) as database:
        with database.transaction() as tx:
            plan = submission(TASK, now=1.0)
            jobs.add(tx, [replace(plan.job, definition=large)])
            assert jobs.get(tx, plan.job.id) is not None
        url = str(database.engine.url)
    with (
        closing(Database.connect(url, cipher=Cipher([NEW]))) as other,
        other.reading() as tx,
        pytest.raises(SecretsUnreadable),
    ):
        jobs.get(tx, plan.job.id)
