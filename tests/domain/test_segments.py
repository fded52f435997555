"""The segments of a task follow each other without a gap, and add up to its time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.samples import leaf, make_task, parallel
from tork_celery.domain import segments
from tork_celery.domain.segments import Mark, SegmentKind, with_mark
from tork_celery.domain.states import TaskState

ONE_RUN = '["starting", 1002.0, "on n"],["running", 1003.0, "on n"],'


def kinds(found: list[segments.Segment]) -> list[tuple[str, float]]:
    return [(segment.kind, segment.end - segment.start) for segment in found]


def test_task_waits_starts_and_runs() -> None:
    task = make_task(scheduled_at=1000.0, marks=ONE_RUN, ended_at=1007.0)

    found = segments.of_attempts([task], now=2000.0)

    assert kinds(found) == [("waiting", 2.0), ("starting", 1.0), ("running", 4.0)]
    assert [segment.reason for segment in found] == ["", "on n", "on n"]


def test_last_segment_of_an_active_task_lasts_until_now() -> None:
    assert kinds(segments.of_attempts([make_task(scheduled_at=1000.0)], now=1005.0)) == [("waiting", 5.0)]


def test_retry_waits_from_the_end_of_the_attempt_before() -> None:
    first = make_task(scheduled_at=1000.0, marks=ONE_RUN, ended_at=1007.0)
    second = make_task(attempts=1, state=TaskState.PENDING, created_at=1007.5, due_at=1020.0)

    *_, last = segments.of_attempts([first, second], now=1010.0)

    assert (last.kind, last.start, last.end) == (SegmentKind.RETRY, 1007.0, 1010.0)
    assert last.reason == "attempt 1 failed"


def test_child_waits_to_be_started_before_it_waits_for_a_worker() -> None:
    child = make_task(scheduled_at=1004.0)

    assert kinds(segments.of_attempts([child], now=1005.0)) == [("created", 4.0), ("waiting", 1.0)]


def test_composite_runs_without_a_worker() -> None:
    composite = make_task(definition=parallel(leaf()), scheduled_at=1000.0, ended_at=1003.0)

    assert kinds(segments.of_attempts([composite], now=1005.0)) == [("running", 3.0)]


def test_mark_that_was_stored_twice_or_late_changes_nothing() -> None:
    late = with_mark(ONE_RUN, Mark(kind=SegmentKind.BETWEEN_STEPS, at=1004.0))
    late = with_mark(late, Mark(kind=SegmentKind.RUNNING, at=1003.0, reason="on n"))

    found = segments.of_attempts([make_task(scheduled_at=1000.0, marks=late)], now=1006.0)

    assert kinds(found)[1:] == [("starting", 1.0), ("running", 1.0), ("between_steps", 2.0)]


@given(
    marks=st.lists(st.tuples(st.sampled_from(SegmentKind), st.floats(990.0, 1020.0), st.text(max_size=3))),
    end=st.floats(1000.0, 1010.0),
)
def test_sum_is_the_time_of_the_task_whatever_the_marks(
    marks: list[tuple[SegmentKind, float, str]], end: float
) -> None:
    stored = ""
    for kind, at, reason in marks:
        stored = with_mark(stored, Mark(kind=kind, at=at, reason=reason))
    task = make_task(scheduled_at=1000.0, marks=stored, ended_at=end)

    found = segments.of_attempts([task], now=2000.0)

    assert abs(sum(segment.end - segment.start for segment in found) - (end - 1000.0)) < 1e-6
    assert all(before.end == after.start for before, after in pairwise(found))
