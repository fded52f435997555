"""Which web sites' pages may ask, in the browser of somebody else."""

from collections.abc import Sequence

from flask import Flask
from flask_cors import CORS

ANY = "*"
_REMEMBERED_S = 600


def allow_origins(app: Flask, origins: Sequence[str]) -> None:
    """Pages of sites that are named may send what the browser knows of the user; where any site may ask, only
    what they know themselves."""
    if not origins:
        return
    named = ANY not in origins
    CORS(
        app,
        origins=list(origins) if named else ANY,
        supports_credentials=named,
        send_wildcard=not named,
        max_age=_REMEMBERED_S,
    )
