"""The page about states shows the transition tables."""

import pytest

from scripts import state_diagrams
from tork_celery.domain.states import JobState, TaskState


def test_page_is_up_to_date() -> None:
    page = state_diagrams.PAGE.read_text()
    assert page == state_diagrams.updated(page), "run `python -m scripts.state_diagrams`"


@pytest.mark.parametrize("state", [*JobState, *TaskState])
def test_page_explains_each_state(state: str) -> None:
    _, jobs, tasks = state_diagrams.PAGE.read_text().split("## ")
    assert f"\n| {state} | " in (jobs if isinstance(state, JobState) else tasks)


def test_page_without_markers_is_rejected() -> None:
    with pytest.raises(ValueError, match="must have the markers"):
        state_diagrams.updated("# States\n")
