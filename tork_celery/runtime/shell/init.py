"""Init process of a step: the step's processes do not outlive it, and it does not outlive the worker.

It runs as a separate program, once for every step. So it imports nothing of this package and little else:

    python -I -S init.py FD COMMAND [ARGUMENT ...]

FD is one end of a socket pair, the lifeline; the worker holds the other. A byte on the lifeline sends TERM to
the command. Its end, because the worker closed it or died, kills the command and all its descendants.

The init process exits with the command's exit code (128 + N for signal N) when all of them have ended. The
worker sees its end of the lifeline close and can rely on that.
"""

# pathlib takes longer to import than all other modules together.
# ruff: noqa: PTH123, PTH208

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IGNORED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_TERM_BYTES = 64


def main(lifeline: int, command: list[str]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # Orphaned descendants become our children, even when they fork twice or start a session.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(lifeline, False)
    wakeup = _watch_children()
    child = os.fork()
    if child == 0:
        _exec(command, libc)
    _close_output()
    status = _wait(child, lifeline, wakeup)
    _kill_descendants()
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def _watch_children() -> int:
    """Return a file descriptor that is readable when a child has ended. Ignore TERM, INT and HUP."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A signal to all processes of a service must not end this one before the command.
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _exec(command: list[str], libc: ctypes.CDLL) -> None:
    """Replace this process with the command, with default signal handlers. Never returns."""
    os.setsid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, *_IGNORED_SIGNALS):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  clients write what to run
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _close_output() -> None:
    """Close our copies of the pipes: the worker sees the end of the output when the step closes its own."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _wait(child: int, lifeline: int, wakeup: int) -> int | None:
    """Wait for the end of `child` and return its status. None when it is to be killed or the worker died."""
    while True:
        if (status := _reap(child)) is not None:
            return status
        ready, _, _ = select.select([lifeline, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 4096)
        if lifeline in ready:
            if not _term_requested(lifeline):
                return None
            os.kill(child, signal.SIGTERM)


def _term_requested(lifeline: int) -> bool:
    try:
        return bool(os.read(lifeline, _TERM_BYTES))
    except ConnectionError:
        return False


def _reap(child: int) -> int | None:
    """Reap all children that ended. Return the status of `child` when it is among them."""
    child_status = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return child_status
        if pid == 0:
            return child_status
        if pid == child:
            child_status = status


def _kill_descendants() -> None:
    """Kill children until none is left: the children of a killed child become ours."""
    while children := _children():
        killed = 0
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except PermissionError:
                continue  # a setuid process of another user
        if not killed:
            return
        for _ in range(killed):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    me = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_pid(name) == me]


def _parent_pid(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None  # it has ended
    return int(stat[stat.rindex(b")") + 2 :].split()[1])  # the command name before may contain anything


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
