"""No form of a secret shows anywhere, whatever the secret is and wherever the output is cut."""

import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.masking.encodings import ENCODINGS, base64_cores
from tests.domain.samples import job_definition, make_task, task_definition
from tests.worker.outputs import stored_text
from tork_celery.domain.definition import Registry
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.masking import REDACTED, MaskedValues, conceal, job_values, task_values
from tork_celery.domain.model import Job, StepRef, Task
from tork_celery.domain.serializers import job as job_document
from tork_celery.domain.serializers import job_summary, task_summary
from tork_celery.domain.serializers import task as task_document
from tork_celery.domain.states import JobState, TaskState
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, StepExit, Stream
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.masking_thread import MaskingThread
from tork_celery.worker.step_outcome import outcome_of
from tork_celery.worker.step_output import StepOutput

MARGIN = "\N{SNOWMAN}"
"""Stands around each form. No secret has it, so that a form cannot begin before it."""

alphabet = st.one_of(
    st.sampled_from(" \t\n\r\"'\\/+=&<>%{}[]-_~.ab01\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0" + MARGIN),
)
secrets = st.text(alphabet, min_size=3, max_size=60).filter(lambda text: text not in REDACTED)
long_secrets = st.builds(
    lambda lines, repeats: "\n".join(lines * repeats),
    st.lists(st.text(alphabet, min_size=1, max_size=80), min_size=2, max_size=6),
    st.integers(1, 40),
).filter(lambda text: len(text) >= 3 and text not in REDACTED)
any_secrets = st.one_of(secrets, long_secrets)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


def forms(secret: str) -> dict[str, str]:
    """Return the forms of a secret that must not show, by name."""
    found = {"as it is": secret, "stripped": secret.strip()}
    if len(secret) >= 6:
        found |= {name: encode(secret) for name, encode in ENCODINGS.items()}
        found |= {f"base64 at {offset}": core for offset, core in enumerate(base64_cores(secret))}
    lines = (line.strip() for line in secret.splitlines() if len(line.strip()) >= 8)
    found |= {f"line {number}": line for number, line in enumerate(lines)}
    return {name: form for name, form in found.items() if len(form) >= 3 and form not in REDACTED}


SYSTEM_KEYS = frozenset({"id", "jobId", "state", "createdAt", "failedAt", "position", "queue"})
"""Fields of documents whose values are no user's text. The system's keys are none either."""
MAPS_OF_USERS = frozenset({"env", "inputs", "secrets", "files", "tasks"})


def texts_of(document: Any, *, keys: bool = False) -> Iterator[str]:
    """Yield the values of a document that a user or a task wrote, and the keys of mappings of users."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from texts_of(item)
    elif isinstance(document, dict):
        for key, value in document.items():
            if keys:
                yield key
            if keys or key not in SYSTEM_KEYS:
                yield from texts_of(value, keys=key in MAPS_OF_USERS and not keys)


def shown_forms(text: str, secret: str) -> list[str]:
    """Return the forms of a secret in a text. The mark itself may look like a short one."""
    parts = text.split(REDACTED)
    return [name for name, form in forms(secret).items() if any(form in part for part in parts)]


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def new_step(*values: str, limit_bytes: int = 2**30) -> ActiveStep:
    output = StepOutput(
        task_id="t",
        step=0,
        stored=LogPosition(),
        limit_bytes=limit_bytes,
        masker=MaskedValues(values).masker(),
    )
    return ActiveStep(ref=StepRef(task_id="t", delivery=1, step=0), job_id="j", output=output)


@pytest.mark.slow
@given(secret=any_secrets, data=st.data(), cuts=cuts, stored_after=st.sets(st.integers(0, 12)))
def test_no_form_of_a_secret_is_in_the_log(
    secret: str, data: st.DataObject, cuts: list[int], stored_after: set[int]
) -> None:
    name = data.draw(st.sampled_from(sorted(forms(secret) or {"as it is": secret})))
    form = forms(secret).get(name, secret)
    step = new_step(secret)
    printed, parts = f"a{MARGIN}{form}{MARGIN}b\n".encode(), list[str]()

    for number, piece in enumerate(cut(printed, cuts)):
        step.output(Stream.STDOUT, piece)
        if number in stored_after:
            parts.append(stored_text(step.output))
    parts.append(stored_text(step.output, final=True))

    log = "".join(parts)
    assert shown_forms(log, secret) == []
    assert shown_forms(step.output.last_lines(), secret) == []
    assert log.startswith(f"a{MARGIN}"), "nothing else is masked"
    assert log.endswith(f"{MARGIN}b\n")


@given(secret=any_secrets, cuts=cuts)
def test_no_secret_is_in_what_the_masking_thread_passes_on(secret: str, cuts: list[int]) -> None:
    step = new_step(secret)
    printed = f"a{MARGIN}{secret}{MARGIN}b\n".encode()

    with MaskingThread(step, ship=lambda _: True, stopping=threading.Event()) as sink:
        for piece in cut(printed, cuts):
            sink(Stream.STDOUT, piece)

    assert shown_forms(stored_text(step.output, final=True), secret) == []


@example(secret="hunter2-and-more", before=MAX_RESULT_BYTES - 8)
@given(secret=secrets, before=st.integers(MAX_RESULT_BYTES - 200, MAX_RESULT_BYTES))
def test_no_part_of_a_secret_is_in_a_result_that_is_cut(secret: str, before: int) -> None:
    """What is left of a secret at the end, three characters or more of its beginning, is dropped too."""
    step = new_step(secret)
    written = b"\n" * before + secret.encode() + MARGIN.encode() * 100

    outcome = outcome_of(StepExit(code=0, output=written), step, is_main=True)

    masked = step.output.masker.mask(outcome.result or "")
    assert shown_forms(masked, secret) == []
    rest = masked.split(REDACTED)[-1].strip("\n")
    assert not (rest and len(rest) >= 3 and secret.lstrip("\n").startswith(rest))


def job_and_task(secret: str, form: str) -> tuple[Job, Task]:
    """Return a job and a task of it that have a form of the secret in all texts of users."""
    task = task_definition(
        name=f"n{MARGIN}{form}",
        description=form,
        tags=(form,),
        image=form,
        run=form,
        cmd=(form,),
        entrypoint=(form,),
        env={"A": form, form: "x"},
        files={form: form},
        registry=Registry(username=form, password="p"),
        workdir=form,
        var=form,
        queue=f"q-{form}",
        if_=form,
    )
    definition = conceal(
        job_definition(
            task,
            name=f"n{MARGIN}{form}",
            description=form,
            tags=(form,),
            inputs={"a": form, form: "x"},
            secrets={"s": secret, form: "other"},
            output=form,
        )
    )
    job = Job(
        id="0" * 32,
        definition=definition,
        state=JobState.FAILED,
        created_at=0.0,
        result=form,
        error=f"e{MARGIN}{form}",
    )
    run = make_task(
        job_id=job.id, definition=replace(task, queue=None), state=TaskState.FAILED, result=form, error=form
    )
    return job, run


@pytest.mark.slow
@settings(max_examples=30)
@given(secret=any_secrets, data=st.data())
def test_no_form_of_a_secret_is_in_a_document(secret: str, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted({secret, *forms(secret).values()})))
    job, task = job_and_task(secret, form)
    values = job_values(job.definition)

    documents = [
        job_summary(job),
        job_document(job, {form: form, f"x{MARGIN}{form}": "y"}, [task]),
        task_document(task, values),
        task_summary(task, values),
    ]

    for document in documents:
        shown = [shown_forms(text, secret) for text in texts_of(document)]
        assert [found for found in shown if found] == []
        assert json.loads(json.dumps(document))["id"] in (job.id, task.id)


def test_values_of_a_rendered_task_are_masked_in_its_documents_and_its_log() -> None:
    task = make_task(definition=task_definition(env={"DB_PASSWORD": "hunter2"}), result="it is hunter2")
    assert task_document(task, ())["result"] == f"it is {REDACTED}"
    step = new_step(*task_values(task.definition))
    step.output(Stream.STDERR, b"it is hunter2\n")
    assert stored_text(step.output) == f"it is {REDACTED}\n"
