"""Processes that do not outlive the one that started them, or are not outlived by it."""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """From now on the kernel kills this process when its parent ends, however that may be.

    Linux only; elsewhere a killed parent leaves its children behind.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


def wait_for_end(pid: int) -> None:
    """Returns when the process has ended. It is left for its parent to reap, which may wait for it too."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([end], [], [])
    finally:
        os.close(end)
