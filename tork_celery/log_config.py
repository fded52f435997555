"""Log configuration: one line per record, with a constant event name and its fields."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

from tork_celery import log_masks

_OURS = "tork_celery"
# Loggers that write a line per message; our own events say what happens to a task.
_VERBOSE_LOGGERS = ("celery.worker.strategy", "celery.app.trace", "kombu", "alembic", "amqp")
_LIBRARY_LOG_BYTES = 5 * 2**20
_LIBRARY_LOG_FILES = 2
_TIME_OF_DAY = "%H:%M:%S"


def configure(level: str, *, log_format: str = "auto", library_log: str = "") -> None:
    """Send our records, and those of all libraries, to stderr.

    `log_format` is `human`, `logfmt`, `json`, or `auto`: human on a terminal, otherwise logfmt. With
    `library_log`, the path of a file, records and warnings of libraries below ERROR go there instead.
    """
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt=_TIME_OF_DAY, utc=False)
        if human
        else structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            *shared,
            log_masks.mask_record,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(_formatter(shared, _rendering(log_format, human=human)))
    if library_log:
        handlers[0].addFilter(_is_for_users)
        handlers.append(_library_handler(Path(library_log), _formatter(shared, _logfmt())))
        logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _rendering(log_format: str, *, human: bool) -> list[structlog.typing.Processor]:
    """Return the last processors of a format, which make a line of a record."""
    if human:
        return [_without_logger, structlog.dev.ConsoleRenderer(pad_event_to=0, colors=_may_color())]
    return [structlog.processors.JSONRenderer()] if log_format == "json" else _logfmt()


def _logfmt() -> list[structlog.typing.Processor]:
    order = ["timestamp", "level", "event"]
    return [structlog.processors.LogfmtRenderer(key_order=order, bool_as_flag=False)]


def _formatter(
    shared: list[structlog.typing.Processor], rendering: list[structlog.typing.Processor]
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, log_masks.mask_foreign_record],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _library_handler(path: Path, formatter: logging.Formatter) -> logging.Handler:
    """Return a handler that adds to a file, which it rotates."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=_LIBRARY_LOG_BYTES, backupCount=_LIBRARY_LOG_FILES)
    handler.setFormatter(formatter)
    handler.addFilter(lambda record: not _is_for_users(record))
    return handler


def _is_for_users(record: logging.LogRecord) -> bool:
    """Return whether a record is ours, or an error."""
    return record.name.partition(".")[0] == _OURS or record.levelno >= logging.ERROR


def _without_logger(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event.pop("logger", None)
    return event


def _may_color() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
