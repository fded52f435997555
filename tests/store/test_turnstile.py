"""Processes that write to SQLite take turns."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tork_celery.store import Database
from tork_celery.store.turnstile import Turnstile

_TURNS = 10
_NEVER_PAUSES = """
import sys, threading, time
from tork_celery.store import Database

database = Database.connect(sys.argv[1])

def write():
    while True:
        with database.transaction():
            time.sleep(0.02)  # of a large transaction
            print("writing", flush=True)

for _ in range(2):
    threading.Thread(target=write, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tork.db-turn"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db")) as database:
        with database.transaction() as tx:
            tx.execute(text("CREATE TABLE t (n INTEGER)"))
        yield database


def test_writer_is_next_though_another_process_never_pauses(database: Database) -> None:
    """Without turns, most of these transactions find the datastore locked for five seconds, and fail."""
    command = [sys.executable, "-c", _NEVER_PAUSES, str(database.engine.url)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == b"writing\n"
            for _ in range(_TURNS):
                with database.transaction() as tx:
                    tx.execute(text("INSERT INTO t VALUES (1)"))
        finally:
            busy.kill()


def test_turn_excludes_others_until_it_is_given_back(path: Path) -> None:
    with closing(Turnstile(path)) as first, closing(Turnstile(path)) as second:
        entered = threading.Event()

        def enter() -> None:
            with second.turn():
                entered.set()

        thread = threading.Thread(target=enter)
        with first.turn():
            thread.start()
            assert not entered.wait(0.1)
        thread.join()
        assert entered.is_set()


def test_frozen_process_keeps_the_lock_for_a_second_at_most(path: Path) -> None:
    frozen, other = Turnstile(path), Turnstile(path)
    with closing(frozen), closing(other), frozen.turn(), other.turn():
        pass  # without the turn


def test_path_that_cannot_be_opened_gives_no_turn(tmp_path: Path) -> None:
    with Turnstile(tmp_path / "missing" / "tork.db-turn").turn():
        pass


def test_turnstile_can_be_used_after_its_close(path: Path) -> None:
    turnstile = Turnstile(path)
    for _ in range(2):
        with turnstile.turn():
            pass
        turnstile.close()

    assert path.stat().st_mode & 0o777 == 0o600
