"""Ids of traces and spans. They are derived from the ids of jobs and tasks, which have 32 hexadecimal digits.

The forms are those of W3C Trace Context: https://www.w3.org/TR/trace-context/
"""

_SPAN_DIGITS = 16
_SAMPLED = "01"


def trace_id(job_id: str) -> str:
    """Return the id of a job's trace: 32 hexadecimal digits."""
    return job_id


def span_id(id_: str) -> str:
    """Return the id of the span of a job or a task: 16 hexadecimal digits."""
    return id_[:_SPAN_DIGITS]


def traceparent(job_id: str, task_id: str) -> str:
    """Return the span of a task as the value of a `traceparent` header."""
    return f"00-{trace_id(job_id)}-{span_id(task_id)}-{_SAMPLED}"
