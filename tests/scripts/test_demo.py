"""The demo starts and stops a system."""

import sys
from pathlib import Path

import pytest
import requests

from scripts import demo
from scripts.apt import Unavailable

FAKE_SYSTEM = """
import pathlib, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
port, data = int(sys.argv[3]), pathlib.Path(sys.argv[5])
data.mkdir()
pathlib.Path({data_path!r}).write_text(str(data))
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def tork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of a program that the demo runs instead of tork-celery."""
    program = tmp_path / "tork-celery"
    monkeypatch.setattr(demo, "TORK", str(program))
    return program


def write_program(program: Path, text: str) -> None:
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)


def test_system_runs_during_the_block_and_its_files_are_removed(tork: Path, tmp_path: Path) -> None:
    data_path = tmp_path / "data-path"
    write_program(tork, FAKE_SYSTEM.format(data_path=str(data_path)))
    with demo.standalone() as url:
        assert requests.get(f"{url}/health", timeout=5).ok
        data = Path(data_path.read_text())
        assert data.exists()
    assert not data.parent.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=5)


def test_error_contains_the_output_of_a_system_that_does_not_start(tork: Path) -> None:
    write_program(tork, "raise SystemExit('the engine does not answer')")
    with pytest.raises(Unavailable, match="the engine does not answer"), demo.standalone():
        pass


def test_settings_of_another_system_are_removed_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_BROKER_URL", "redis://elsewhere")
    environment = demo.clean_environment(TORK_URL="http://here")
    assert {key: value for key, value in environment.items() if key.startswith("TORK_")} == {
        "TORK_URL": "http://here"
    }
