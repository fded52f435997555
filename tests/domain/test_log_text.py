"""Logs as text: output as it was printed, system lines marked, and in the log of a job whole lines."""

from typing import Any

import pytest

from tork_celery.domain import log_text
from tork_celery.domain.log_text import JobText, TaskText
from tork_celery.domain.logs import LineRun, LogPart, LogPosition, LogSource

SYSTEM = LogSource.SYSTEM


def part(contents: str, **values: Any) -> LogPart:
    fields: dict[str, Any] = {"task_id": "t", "step": 0} | values
    return LogPart(contents=contents, position=LogPosition(), **fields)


def task_text(*parts: LogPart, timestamps: bool = False) -> str:
    text = TaskText(timestamps=timestamps)
    return "".join(map(text.add, parts)) + text.end()


def job_text(*parts: LogPart) -> str:
    text = JobText(str.upper, timestamps=False)
    return "".join(map(text.add, parts)) + text.end()


@pytest.mark.parametrize("contents", ["a\nb", "a\r\rb\n", "\x1b[1mx\n\n", "\n"])
def test_output_is_shown_as_it_was_printed(contents: str) -> None:
    assert task_text(part(contents), part("more")) == contents + "more"


def test_system_lines_are_marked() -> None:
    parts = part("a\n"), part("pulling\nstarting\n", source=SYSTEM), part("b\n")

    assert task_text(*parts) == "a\ntork: pulling\ntork: starting\nb\n"


def test_line_ends_where_the_source_or_the_step_changes() -> None:
    parts = part("a"), part("killed\n", source=SYSTEM), part("b"), part("c", step=1), part("d", task_id="u")

    assert task_text(*parts) == "a\ntork: killed\nb\nc\nd"


def test_each_line_has_its_time() -> None:
    first = part("a\nb\nc", created_at=10.0, line_times=[LineRun(1, 0), LineRun(2, 1250)])
    second = part("c\nd\n", created_at=20.0, line_times=[LineRun(1, 5)])
    note = part("end\n", created_at=30.0, line_times=[LineRun(1, 0)], source=SYSTEM)

    assert task_text(first, second, note, timestamps=True).splitlines() == [
        "1970-01-01T00:00:10.000Z a",
        "1970-01-01T00:00:11.250Z b",
        "1970-01-01T00:00:11.250Z cc",
        "1970-01-01T00:00:20.005Z d",
        "1970-01-01T00:00:30.000Z tork: end",
    ]


def test_lines_of_an_earlier_version_have_the_time_of_their_part() -> None:
    assert task_text(part("a\nb\n", created_at=10.0), timestamps=True).splitlines() == [
        "1970-01-01T00:00:10.000Z a",
        "1970-01-01T00:00:10.000Z b",
    ]


def test_text_may_begin_within_a_line() -> None:
    begun = part("a\nb\n", created_at=10.0, line_times=[LineRun(1, 7)])

    assert task_text(begun, timestamps=True).splitlines()[1] == "1970-01-01T00:00:10.007Z b"


def test_lines_of_a_job_are_whole_and_have_the_name_of_their_task() -> None:
    parts = part("one "), part("1\n2\n", task_id="u"), part("line\nopen"), part("x\n", source=SYSTEM)

    assert job_text(*parts, part("end", task_id="u")) == (
        "U | 1\nU | 2\nT | one line\nT | open\nT | tork: x\nU | end\n"
    )


def test_longest_open_line_of_a_job_is_cut_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_text, "MAX_OPEN_CHARACTERS", 10)

    assert job_text(part("x" * 8), part("yy", task_id="u"), part("x")) == "T | xxxxxxxxx\nU | yy\n"
