import subprocess
import sys
from pathlib import Path

import pytest

from tork_celery.runtime.entrypoints import interpreter, script_arguments


def run_script(tmp_path: Path, entrypoint: list[str], script: str, *arguments: str) -> str:
    """Run a script in a directory whose name has characters that shells interpret; return its output."""
    file = tmp_path / "a b;c$d" / "entrypoint"
    file.parent.mkdir()
    file.write_text(script)
    file.chmod(0o755)
    command = [*entrypoint, *script_arguments(entrypoint, str(file), arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "entrypoint", [["sh", "-c"], ["/bin/bash", "-c"], ["bash", "-euc"], ["env", "sh", "-c"]]
)
@pytest.mark.parametrize("arguments", [(), ("x", "two words", "$HOME")], ids=["alone", "with arguments"])
def test_shell_passes_the_arguments_to_the_script(
    tmp_path: Path, entrypoint: list[str], arguments: tuple[str, ...]
) -> None:
    printed = run_script(tmp_path, entrypoint, 'printf "<%s>" "$@"', *arguments)

    assert printed == ("".join(f"<{argument}>" for argument in arguments) or "<>")


def test_first_line_names_the_interpreter(tmp_path: Path) -> None:
    script = f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:], sys.version_info[0])\n"

    assert run_script(tmp_path, ["sh", "-c"], script, "x") == "['x'] 3\n"


def test_program_that_is_not_a_shell_receives_the_path(tmp_path: Path) -> None:
    assert (
        run_script(tmp_path, [sys.executable], "import sys; print(sys.argv[1:])", "x", "y") == "['x', 'y']\n"
    )


@pytest.mark.parametrize("entrypoint", [["su", "app", "-c"], ["-c"], ["cat"], ["sh"], ["sh", "-x"]])
def test_path_is_appended_to_any_other_entrypoint(entrypoint: list[str]) -> None:
    assert script_arguments(entrypoint, "/tork/entrypoint", ["x"]) == ["/tork/entrypoint", "x"]


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("echo x", ["bash"]),
        ("#!/usr/bin/env python3\nprint(1)", ["/usr/bin/env", "python3"]),
        ("#! /bin/sh -e -x \n", ["/bin/sh", "-e -x"]),
        ("#!\n", ["bash"]),
        ("\n#!/bin/sh", ["bash"]),
    ],
)
def test_first_line_is_read_as_the_kernel_does(script: str, command: list[str]) -> None:
    assert interpreter(script, default="bash") == command
