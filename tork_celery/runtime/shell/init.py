"""The parent of a step's processes: none of them outlives it, and it does not outlive the worker.

Run as a program of its own, so it imports nothing of this package, and little else, for it starts with
every step:

    python -I -S init.py FD COMMAND [ARGUMENT ...]

FD is one end of a socket pair; the worker holds the other. A byte on it means TERM for the command; its
end, whether the worker closed it or died, means KILL for the command and all that descends from it. The
command's exit code becomes ours (128 + N when signal N ended it) once all of them are gone, so that the
worker, which sees our end of the pair close, can rely on that.
"""

# pathlib takes longer to import than all the rest.
# ruff: noqa: PTH123, PTH208

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MEANT_FOR_THE_COMMAND = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_TERM_BYTES = 64


def main(lifeline: int, command: list[str]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # Whatever a descendant does (fork twice, take a session of its own), its orphans come to us.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(lifeline, False)
    wakeup = _listen_for_children()
    child = os.fork()
    if child == 0:
        _become(command, libc)
    _let_go_of_output()
    status = _wait(child, lifeline, wakeup)
    _kill_descendants()
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def _listen_for_children() -> int:
    """A descriptor that becomes readable when a child ends. Other signals are ignored here."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Whoever signals all processes of a service is not to end us before the command.
    for number in _MEANT_FOR_THE_COMMAND:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _become(command: list[str], libc: ctypes.CDLL) -> None:
    """Turn into the command, with the signals as a program expects them. Never returns."""
    os.setsid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, *_MEANT_FOR_THE_COMMAND):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  the client wrote what to run
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _let_go_of_output() -> None:
    """So that the worker sees the end of the output when the step closes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _wait(child: int, lifeline: int, wakeup: int) -> int | None:
    """The status of `child`; None when the worker wants it killed, or is gone."""
    while True:
        if (status := _reap(child)) is not None:
            return status
        ready, _, _ = select.select([lifeline, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 4096)
        if lifeline in ready:
            if not _asked_for_term(lifeline):
                return None
            os.kill(child, signal.SIGTERM)


def _asked_for_term(lifeline: int) -> bool:
    try:
        return bool(os.read(lifeline, _TERM_BYTES))
    except ConnectionError:
        return False


def _reap(child: int) -> int | None:
    """Reap all that ended; the status of `child` when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _kill_descendants() -> None:
    """When a child dies, its children become ours: kill until there are none."""
    while children := _children():
        killed = 0
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except PermissionError:
                continue  # it took another user's rights, and is out of our reach
        if not killed:
            return
        for _ in range(killed):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    me = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == me]


def _parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None  # it ended while we looked
    return int(stat[stat.rindex(b")") + 2 :].split()[1])  # the name before may hold anything


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
