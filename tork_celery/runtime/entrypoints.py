"""The command that runs the script of a step."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

DEFAULT_ENTRYPOINT = ("sh", "-c")
_SHELLS = {"sh", "ash", "bash", "dash", "ksh", "zsh"}
_COMMAND_OPTION = re.compile(r"-[a-zA-Z]*c")
# A shell with -c reads a command. The words after the command are its $0, $1 and so on.
_RUN_FILE = 'exec "$0" "$@"'


def script_arguments(entrypoint: Sequence[str], script: str, arguments: Sequence[str]) -> list[str]:
    """Return the arguments by which `entrypoint` runs the file `script` with `arguments`.

    They are the path of the file and its arguments. A shell with -c, such as `[bash, -c]`, executes the file,
    so that its `#!` line counts; the path may contain any characters.
    """
    if _reads_command(entrypoint):
        return [_RUN_FILE, script, *arguments]
    return [script, *arguments]


def interpreter(script: str, *, default: str) -> list[str]:
    """Return the command of a script's `#!` line, as the kernel reads it. `default` if it has none."""
    first_line = script.partition("\n")[0]
    if not first_line.startswith("#!"):
        return [default]
    return first_line[2:].strip().split(maxsplit=1) or [default]


def _reads_command(entrypoint: Sequence[str]) -> bool:
    *words, last = entrypoint
    return bool(_COMMAND_OPTION.fullmatch(last)) and any(
        PurePosixPath(word).name in _SHELLS for word in words
    )
