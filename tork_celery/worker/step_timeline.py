"""What a step does and waits for, with times, until a statement stores it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tork_celery.domain.segments import SegmentKind
from tork_celery.domain.step_report import RecentMark, StepReport


@dataclass(frozen=True, slots=True)
class _Mark:
    kind: SegmentKind
    at_s: float  # of the monotonic clock
    reason: str


class StepTimeline:
    """Collects the marks of a step and its present note. The heartbeat or the end of the step stores them.

    `mask` masks the secrets of the task. Thread-safe.
    """

    def __init__(self, mask: Callable[[str], str] = str, *, node: str = "this worker") -> None:
        self._mask = mask
        self._on_node = f"on {node}"
        self._lock = threading.Lock()
        self._kind = SegmentKind.STARTING  # as the claim has stored it
        self._marks: list[_Mark] = []
        self._note = self._stored_note = ""

    def started(self) -> None:
        """Note that a container of the step has started."""
        self._begin(SegmentKind.RUNNING, self._on_node)

    def adopted(self) -> None:
        """Note that this process follows a container that was started before."""
        self._begin(SegmentKind.RUNNING, f"{self._on_node}, which follows it again")

    def pulling(self, progress: str | None) -> None:
        """Note the progress of an image pull, or None at its end. The first text names the image."""
        if progress is None:
            self._begin(SegmentKind.STARTING, self._on_node)
            return
        if self._kind is not SegmentKind.PULLING:
            self._begin(SegmentKind.PULLING, progress)
        self._set_note(progress)

    def engine_away(self, reason: str) -> None:
        """Note that the step waits for the container engine. `reason` says more, and may change."""
        if self._kind is not SegmentKind.ENGINE_AWAY:
            self._begin(SegmentKind.ENGINE_AWAY, reason)
        self._set_note(reason)

    def engine_answers(self) -> None:
        self._begin(SegmentKind.STARTING, self._on_node)

    def report(self) -> StepReport | None:
        """Return what is not stored yet, if anything. Call `stored` when it is."""
        now_s = time.monotonic()
        with self._lock:
            if not self._marks and self._note == self._stored_note:
                return None
            marks = tuple(
                RecentMark(kind=mark.kind, ago_s=now_s - mark.at_s, reason=mark.reason)
                for mark in self._marks
            )
            return StepReport(marks=marks, note=self._note)

    def stored(self, report: StepReport) -> None:
        """Forget what a committed transaction has stored."""
        with self._lock:
            del self._marks[: len(report.marks)]
            self._stored_note = report.note

    def _begin(self, kind: SegmentKind, reason: str) -> None:
        with self._lock:
            self._kind = kind
            self._marks.append(_Mark(kind, time.monotonic(), self._mask(reason)))
            self._note = ""

    def _set_note(self, text: str) -> None:
        with self._lock:
            self._note = self._mask(text)
