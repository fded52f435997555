"""Judgement of failed pulls: whether to try again, and within which limit.

Docker 20.10 answers 500 to nearly everything that a registry or a network does wrong, so its message has to
be read. A message quotes the name of the image, the URL of the registry and the registry's own words. Nothing
of that may decide. So patterns match at the start of a message, after the wrappers that the engine puts
there, or at its end, where the fixed words of Go and of the operating system stand. An image name has no
spaces, and cannot imitate either.
"""

import re

from tork_celery.domain.backoff import PASSING, UNKNOWN, Backoff, RetryLimit

REGISTRY = RetryLimit(tries=10_000, within_s=float("inf"), backoff=Backoff(first_s=1.0, longest_s=30.0))
"""Limit of what a registry or a network may recover from: the timeout of the pull is the only bound."""

_TOO_MANY_REQUESTS = 429
_REQUEST_TIMEOUT = 408
_CLIENT_ERROR = 400
_SERVER_ERROR = 500

_WRAPPER = re.compile(
    r"""
    (?: Get | Head | Post ) \s (?: "(?:[^"\\]|\\.)*" | \S+ )
    | error\ pulling\ image\ configuration
    | download\ failed\ after\ attempts=\d+
    | failed\ to\ (?: copy | do\ request | authorize | fetch\ (?:anonymous|oauth)\ token )
    | failed\ to\ resolve\ reference\ "(?:[^"\\]|\\.)*"
    | httpReadSeeker | failed\ open
    | initializing\ source\ \S+ | pinging\ container\ registry\ \S+ | reading\ manifest\ \S+\ in\ \S+
    """,
    re.VERBOSE,
)
_WRAPPERS = re.compile(rf"(?:(?:{_WRAPPER.pattern}):\s)*", re.VERBOSE)

_STATUS = re.compile(
    r"""
    (?: error\ parsing\ HTTP\ (?P<parsed>\d{3})\ response\ body:
      | received\ unexpected\ HTTP\ status:\ (?P<unexpected>\d{3})\b
      | unexpected\ status\ (?:code\ \S+|from\ \S+\ request\ to\ \S+):\ (?P<containerd>\d{3})\b
      | (?P<limited>toomanyrequests):[ ]
      | (?P<unavailable>unavailable):[ ]
    )
    """,
    re.VERBOSE,
)
_NETWORK = re.compile(r"(?:dial|read|write) (?:tcp|udp)\d?\b|lookup \S+|net/http: |http2: ")
_NETWORK_END = re.compile(
    r"""
    (?: ^ | :\s )
    (?: i/o\ timeout | TLS\ handshake\ timeout | context\ deadline\ exceeded
      | [Tt]emporary\ failure\ in\ name\ resolution | server\ misbehaving
      | network\ is\ unreachable | no\ route\ to\ host | host\ is\ unreachable
      | connection\ (?: refused | reset\ by\ peer | timed\ out ) | broken\ pipe
      | unexpected\ EOF | EOF
    )
    (?: \s \( Client\.Timeout\ [a-z ]+ \) )? $
    """,
    re.VERBOSE,
)
_NO_SUCH_HOST_END = re.compile(r": no such host$")  # the answer of a name server that works
_DISK_FULL_END = re.compile(r": no space left on device$")
_PERMANENT = re.compile(
    r"""
    (?: unauthorized | denied | (?:name|manifest|blob)\ unknown | unsupported ):[ ]
    | (?: x509 | tls | remote\ error:\ tls ):[ ]
    | no\ basic\ auth\ credentials$
    | http:\ server\ gave\ HTTP\ response\ to\ HTTPS\ client$
    | no\ matching\ manifest\ for\ \S+
    """,
    re.VERBOSE,
)

_LIMITS = (
    (_PERMANENT.match, None),
    (_NO_SUCH_HOST_END.search, UNKNOWN),
    (_DISK_FULL_END.search, PASSING),
    (_NETWORK.match, REGISTRY),
    (_NETWORK_END.search, REGISTRY),
)


def retry_limit(message: str, status: int | None) -> RetryLimit | None:
    """Return the limit within which to pull again, or None if the pull would fail the same way.

    `status` is the HTTP status of the engine's answer, or the code within its stream; None without one.
    """
    if status is not None and status < _SERVER_ERROR:
        return _limit_of_status(status)
    reason = message[_wrapped_length(message) :]
    if match := _STATUS.match(reason):
        return _limit_of_status(_registry_status(match))
    return next((limit for matches, limit in _LIMITS if matches(reason)), UNKNOWN)


def _limit_of_status(status: int) -> RetryLimit | None:
    if status in (_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS) or status >= _SERVER_ERROR:
        return REGISTRY
    return None if status >= _CLIENT_ERROR else UNKNOWN


def _registry_status(match: re.Match[str]) -> int:
    if match["limited"]:
        return _TOO_MANY_REQUESTS
    if match["unavailable"]:
        return _SERVER_ERROR
    return int(match["parsed"] or match["unexpected"] or match["containerd"])


def _wrapped_length(message: str) -> int:
    match = _WRAPPERS.match(message)
    return match.end() if match else 0
