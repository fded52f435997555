"""Topics of streams, and the ids of events."""

import pytest

from tork_celery.domain.logs import LineRun, LogPart, LogPosition
from tork_celery.domain.streams import (
    ENDED,
    LogCursor,
    Position,
    Topic,
    TopicKind,
    decode_positions,
    encode_positions,
)

JOBS, JOB, LOG = Topic(TopicKind.JOBS), Topic(TopicKind.JOB, "j"), Topic(TopicKind.LOG, "t")


@pytest.mark.parametrize("text", ["jobs", "job:j", "log:t"])
def test_topic_is_written_as_it_is_read(text: str) -> None:
    assert str(Topic.parse(text)) == text


@pytest.mark.parametrize("text", ["", "job", "job:", "log:", "jobs:x", "task:t", "JOBS"])
def test_other_topics_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a topic; allowed: jobs, job:ID, log:TASK_ID"):
        Topic.parse(text)


def test_id_holds_a_position_for_each_topic() -> None:
    positions: dict[Topic, Position] = {JOBS: 12, JOB: ENDED, LOG: LogCursor(2, 345)}

    assert decode_positions(encode_positions(positions), (JOBS, JOB, LOG)) == positions


def test_id_has_no_positions_of_other_topics() -> None:
    assert decode_positions(encode_positions({JOB: 1}), (JOBS, LOG)) == {}


@pytest.mark.parametrize("text", ["", "x", ".", "é", "0123456789s", "0123456789s" + "9" * 19, "a" * 10_000])
def test_unknown_ids_have_no_positions(text: str) -> None:
    assert decode_positions(text, (JOBS, JOB, LOG)) == {}


def test_position_of_another_kind_of_topic_is_unknown() -> None:
    key = encode_positions({LOG: ENDED}).removesuffix("e")

    assert decode_positions(f"{key}s12", (LOG,)) == {}


def test_part_from_a_line_keeps_numbers_times_and_ranges() -> None:
    part = LogPart(
        task_id="t",
        step=0,
        contents="nd of a line\nb\nerror\nd",
        position=LogPosition(),
        line=7,
        stderr=[(0, 4), (15, 20)],
        line_times=[LineRun(2, 5), LineRun(1, 9)],
    )

    rest = part.from_line(15)

    assert (rest.contents, rest.line, rest.stderr) == ("error\nd", 9, [(0, 5)])
    assert rest.times_ms == [5, 9]
