"""What a step has printed, as it is stored."""

from tork_celery.worker.step_output import StepOutput


def stored_text(output: StepOutput, *, final: bool = False) -> str:
    """Store the parts that are not stored yet, and return their text."""
    with output.storing(final=final) as batch:
        batch.mark_stored()
        return "".join(part.contents for part in batch.parts)
