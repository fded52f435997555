"""The completion scripts complete commands in the shells that are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_for_the_shell(tork: Command, shell: str) -> None:
    code, printed, _ = tork("completion", shell)

    assert code == 0
    assert f"_TORK_CELERY_COMPLETE={shell}_complete" in printed


def complete(shell: str, script: str) -> str:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [program, "-c", script],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_bash_completes_commands() -> None:
    script = """
eval "$(tork-celery completion bash)"
COMP_WORDS=(tork-celery sch) COMP_CWORD=1
_tork_celery_completion tork-celery
printf '%s\\n' "${COMPREPLY[@]}"
"""
    assert complete("bash", script).split() == ["schedules", "schema"]


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("jobs --st", ["--state"]),
        ("jobs --state RUN", ["RUNNING"]),
        ("queues pu", ["purge"]),
        ("schedules pause --k", ["--key"]),
        ("jobs -o js", ["json", "jsonl"]),
        ("comp", ["completion"]),
    ],
)
def test_options_and_values_are_completed_without_imports(words: str, completed: list[str]) -> None:
    program = (
        "import sys; from tork_celery.cli import main; main.cli.main(standalone_mode=False, "
        "prog_name='tork-celery', complete_var='_TORK_CELERY_COMPLETE')"
    )
    heavy = "; print(*{'rich', 'requests', 'sqlalchemy', 'marshmallow'} & set(sys.modules), file=sys.stderr)"
    program = f"import sys\ntry: exec({program!r})\nfinally: exec({heavy.removeprefix('; ')!r})"
    variables = {
        "_TORK_CELERY_COMPLETE": "bash_complete",
        "COMP_WORDS": f"tork-celery {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == completed
    assert done.stderr == "\n"


def test_zsh_loads_the_script() -> None:
    script = """
autoload -U compinit && compinit -u -D
eval "$(tork-celery completion zsh)"
whence -w _tork_celery_completion
"""
    assert "function" in complete("zsh", script)
