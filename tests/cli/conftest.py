"""A stub of the API, and commands that run in the process of the test."""

from collections.abc import Callable, Iterator

import pytest

from tests.cli.stub_api import StubApi
from tests.serving import serving
from tork_celery.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stub() -> Iterator[StubApi]:
    with serving(StubApi()) as server:
        yield server


@pytest.fixture
def tork(stub: StubApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command against the stub: its exit code, stdout and stderr."""
    monkeypatch.setenv("TORK_URL", stub.url)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tork-celery", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        output = capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err

    return run
