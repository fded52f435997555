"""Run a command while a container engine answers.

    python -m scripts.with_engine COMMAND [ARGUMENT ...]

An engine that was started for the command is stopped after it. The exit code is that of the command.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from scripts import engine
from scripts.apt import Unavailable


def main() -> None:
    signal.signal(signal.SIGTERM, _exit)
    try:
        with engine.running() as address:
            code = run(sys.argv[1:], environment=os.environ | {"DOCKER_HOST": address})
    except Unavailable as error:
        sys.exit(str(error))
    sys.exit(code)


def run(command: list[str], *, environment: dict[str, str]) -> int:
    """Run a command and return its exit code, or 128 plus the number of the signal that killed it.

    SIGTERM is passed on to the command. SIGINT is ignored, because Ctrl-C reaches the command anyway.
    """
    child: subprocess.Popen[bytes] | None = None
    is_terminated = False

    def terminate(*_: object) -> None:
        nonlocal is_terminated
        is_terminated = True
        if child is not None:
            child.terminate()

    # Handlers are set before the start, so that no signal is missed. The command would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, lambda *_: None)
    child = subprocess.Popen(command, env=environment)
    if is_terminated:
        child.terminate()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
