"""Cross-origin requests (CORS): which web sites' pages may call the API."""

import re
from collections.abc import Sequence

from flask import Flask
from flask_cors import CORS

ANY = "*"
_PREFLIGHT_MAX_AGE_S = 600


def allow_origins(app: Flask, origins: Sequence[str]) -> None:
    """Allow pages of these origins to call the API.

    Pages of named origins may send credentials that the browser stores. With the wildcard they may not.
    """
    if not origins:
        return
    named = ANY not in origins
    CORS(
        app,
        # Patterns: the library would take the brackets of an IPv6 address for one of its own.
        origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins] if named else ANY,
        supports_credentials=named,
        send_wildcard=not named,
        max_age=_PREFLIGHT_MAX_AGE_S,
    )
