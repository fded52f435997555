"""Chromium of Debian, for tests of the web pages and for their screenshots."""

import shutil

from scripts import apt
from scripts.apt import Unavailable

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def require() -> str:
    """Return the path of Chromium, which is installed if it is missing. Raises Unavailable."""
    if (path := _found()) is None and apt.may_install():
        apt.install("chromium")
        path = _found()
    if path is None:
        raise Unavailable("Missing Chromium; on Debian: apt-get install chromium")
    return path


def _found() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)
