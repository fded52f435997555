"""Run a command while a container engine answers.

    python -m scripts.with_engine COMMAND [ARGUMENT ...]

An engine that had to be started for it is stopped afterwards. Exits as the command does.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from scripts import engine
from scripts.apt import Unavailable


def main() -> None:
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with engine.running() as address:
            code = run(sys.argv[1:], environment=os.environ | {"DOCKER_HOST": address})
    except Unavailable as missing:
        sys.exit(str(missing))
    sys.exit(code)


def run(command: list[str], *, environment: dict[str, str]) -> int:
    """The command's exit code, in the shell's way: 128 and the signal's number if one ended it."""
    child: subprocess.Popen[bytes] | None = None
    terminated = False

    def pass_on(*_: object) -> None:
        nonlocal terminated
        terminated = True
        if child is not None:
            child.terminate()

    # Before the command starts, so that no signal is missed. Functions: it would inherit an ignored signal.
    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the command too, which ends in its own way
    child = subprocess.Popen(command, env=environment)
    if terminated:
        child.terminate()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _terminated(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
