"""The output of a step is stored in parts, in order and each part once."""

import itertools
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.logs import LogPart, LogPosition, LogSource
from tork_celery.domain.masking import MaskedValues
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Stream
from tork_celery.worker.step_output import FULL_CHARACTERS, StepOutput

PART_BYTES = 64 * 1024
LARGE = 10_000_000
OUT, ERR, NOTE = Stream.STDOUT, Stream.STDERR, Stream.NOTE

Printed = Sequence[tuple[Stream, bytes]]

streams = st.sampled_from([OUT, ERR])
texts = st.text(st.sampled_from(list("ab\r\n\n\nä\N{GRINNING FACE}\x00")), max_size=30)
raw = st.one_of(texts.map(str.encode), st.binary(max_size=12))
outputs = st.lists(st.tuples(streams, raw), max_size=20)


def new_output(*, stored: LogPosition | None = None, limit_bytes: int = LARGE) -> StepOutput:
    return StepOutput(task_id="t", step=0, stored=stored or LogPosition(), limit_bytes=limit_bytes)


def feed(output: StepOutput, printed: Printed) -> None:
    for stream, data in printed:
        output(stream, data)


def store(output: StepOutput, *, final: bool = False) -> list[LogPart]:
    """Store the next parts, as a log shipper does, and return them."""
    with output.storing(final=final) as batch:
        batch.mark_stored()
        return list(batch.parts)


def unstored(output: StepOutput) -> list[LogPart]:
    """Return the next parts without storing them."""
    with output.storing() as batch:
        return list(batch.parts)


def text(parts: Sequence[LogPart]) -> str:
    return "".join(part.contents for part in parts)


def decoded(printed: Printed, stream: Stream) -> str:
    whole = b"".join(data for printed_to, data in printed if printed_to is stream)
    return whole.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


@given(
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    when=st.sets(st.integers(0, 8)),
)
def test_text_does_not_depend_on_how_the_bytes_arrive(data: bytes, cuts: list[int], when: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(data)]
    output, parts = new_output(), list[LogPart]()

    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        output(OUT, data[min(start, len(data)) : min(end, len(data))])
        if number in when:
            parts += store(output)
    parts += store(output, final=True)

    assert text(parts) == decoded([(OUT, data)], OUT)


@given(printed=outputs, when=st.sets(st.integers(0, 20)))
def test_position_counts_the_stored_lines_of_each_stream(printed: Printed, when: set[int]) -> None:
    output, parts = new_output(), list[LogPart]()
    for number, (stream, data) in enumerate(printed):
        output(stream, data)
        if number in when:
            parts += store(output)
    parts += store(output, final=True)

    position = parts[-1].position if parts else LogPosition()
    out, err = decoded(printed, OUT), decoded(printed, ERR)
    assert (position.stdout_lines, position.stderr_lines) == (out.count("\n"), err.count("\n"))
    assert position.stdout_open == len(out.rpartition("\n")[2])
    assert position.stderr_open == len(err.rpartition("\n")[2])
    assert position.line == 1 + position.stdout_lines + position.stderr_lines
    assert sorted(text(parts)) == sorted(out + err)


@given(
    printed=outputs,
    again=st.data(),
    stored_after=st.sets(st.integers(0, 20)),
    kept=st.integers(0, 20),
)
def test_output_of_a_followed_step_is_stored_from_the_stored_position(
    printed: Printed, again: st.DataObject, stored_after: set[int], kept: int
) -> None:
    """Nothing is missing and nothing is stored twice, for any stored position and any chunks of bytes."""
    before, parts = new_output(), list[LogPart]()
    for number, (stream, data) in enumerate(printed):
        before(stream, data)
        if number in stored_after:
            parts += store(before)
    parts += store(before, final=True)
    stored = parts[:kept]

    after = new_output(stored=stored[-1].position if stored else LogPosition())
    for stream, data in printed:  # the engine keeps the order of the streams
        cut = again.draw(st.integers(0, len(data)), label="cut")
        feed(after, [(stream, data[:cut]), (stream, data[cut:])])
    rest = store(after, final=True)

    for stream in (OUT, ERR):
        alone = [(printed_to, data) for printed_to, data in printed if printed_to is stream]
        if alone == printed:
            assert text(stored) + text(rest) == decoded(printed, stream)
    assert sorted(text(stored) + text(rest)) == sorted(decoded(printed, OUT) + decoded(printed, ERR))
    assert after.stdout() == b"".join(data for stream, data in printed if stream is OUT)


@given(printed=outputs, kept=st.integers(0, 20))
def test_restarted_output_is_stored_from_the_stored_position(printed: Printed, kept: int) -> None:
    output, parts = new_output(), list[LogPart]()
    feed(output, printed[:kept])
    parts += store(output)
    feed(output, printed[kept:])

    output.restart(lambda: parts[-1].position if parts else LogPosition())
    feed(output, printed)
    parts += store(output, final=True)

    assert sorted(text(parts)) == sorted(decoded(printed, OUT) + decoded(printed, ERR))


lengths = st.integers(0, 3 * PART_BYTES)


@given(
    lines=st.lists(lengths, min_size=1, max_size=6), letter=st.sampled_from(["x", "ä", "\N{GRINNING FACE}"])
)
def test_parts_are_limited_and_cut_at_line_ends_if_possible(lines: list[int], letter: str) -> None:
    printed = "".join(letter * length + "\n" for length in lines)
    output = new_output()
    output(OUT, printed.encode())

    parts = store(output, final=True)

    assert text(parts) == printed
    assert all(len(part.contents.encode()) <= PART_BYTES for part in parts)
    for part in parts:
        is_cut_in_a_long_line = "\n" not in part.contents
        assert part.contents.endswith("\n") or is_cut_in_a_long_line


def test_part_is_cut_after_the_last_line_that_fits() -> None:
    output = new_output()
    output(OUT, b"a" * 40_000 + b"\n" + b"b" * 40_000 + b"\n")

    first, second = store(output)

    assert (first.contents, second.contents) == ("a" * 40_000 + "\n", "b" * 40_000 + "\n")
    assert first.position == LogPosition(stdout_lines=1, line=2)
    assert second.position == LogPosition(stdout_lines=2, line=3)


def test_streams_keep_their_order() -> None:
    output = new_output()
    feed(output, [(OUT, b"1\n"), (ERR, b"2\n"), (OUT, b"4\n")])

    [part] = store(output)

    assert part.contents == "1\n2\n4\n"
    assert part.position == LogPosition(stdout_lines=2, stderr_lines=1, line=4)
    assert (part.task_id, part.step, part.source) == ("t", 0, LogSource.CONTAINER)


def test_stderr_is_marked_by_ranges_of_characters() -> None:
    output = new_output()
    feed(output, [(OUT, "ä\n".encode()), (ERR, b"2\n"), (ERR, b"3"), (OUT, b"4\n"), (ERR, b"5\n")])

    [part] = store(output)

    assert part.contents == "ä\n2\n34\n5\n"
    assert list(part.stderr) == [(2, 5), (7, 9)]


@given(printed=outputs)
def test_ranges_of_all_parts_hold_what_was_printed_to_stderr(printed: Printed) -> None:
    output = new_output()
    feed(output, printed)

    parts = store(output, final=True)

    marked = [part.contents[start:end] for part in parts for start, end in part.stderr]
    assert "".join(marked) == decoded(printed, ERR)


def test_lines_of_the_system_are_in_parts_of_their_own() -> None:
    output = new_output()
    feed(output, [(OUT, b"1\n2"), (NOTE, b"3\n4\n"), (OUT, b"5\n6\n")])

    parts = store(output)

    shown = [(part.source.value, part.line, part.contents) for part in parts]
    assert shown == [("container", 1, "1\n2"), ("system", 3, "3\n4\n"), ("container", 5, "5\n6\n")]


sources = st.sampled_from([OUT, ERR, NOTE])


@given(
    printed=st.lists(st.tuples(sources, raw.map(lambda data: data.replace(b"\xff", b"\n"))), max_size=20),
    when=st.sets(st.integers(0, 20)),
)
def test_parts_know_the_number_of_their_first_line(printed: Printed, when: set[int]) -> None:
    """A line ends with a newline, or where the source changes. Each line has one time."""
    output, parts = new_output(), list[LogPart]()
    for number, (stream, data) in enumerate(printed):
        output(stream, data)
        if number in when:
            parts += store(output)
    parts += store(output, final=True)

    line, open_source = 1, None
    for part in parts:
        begins = open_source is not part.source
        line += begins and open_source is not None
        assert part.line == line
        newlines, ends = part.contents.count("\n"), part.contents.endswith("\n")
        assert len(part.times_ms or []) == begins + newlines - ends
        line, open_source = line + newlines, None if ends else part.source


def test_lines_have_the_times_at_which_they_began() -> None:
    output = new_output()
    output(OUT, b"1\n2\n3", arrived_s=100.0)
    output(OUT, b"3\n", arrived_s=100.5)
    output(ERR, b"4\n", arrived_s=101.0)
    output(OUT, b"5\n", arrived_s=101.0005)

    [part] = store(output)

    assert part.contents == "1\n2\n33\n4\n5\n"
    assert part.times_ms == [0, 0, 0, 1000, 1000]


def test_part_has_its_age_when_it_is_stored() -> None:
    output = new_output()
    now_s = time.monotonic()
    output(OUT, b"1\n", arrived_s=now_s - 60)
    unstored(output)
    output(OUT, b"2\n", arrived_s=now_s - 30)

    first, second = store(output)

    assert first.age_s - second.age_s == pytest.approx(30)
    assert first.age_s >= 60


def test_lines_of_a_followed_step_continue_the_count() -> None:
    before = new_output()
    feed(before, [(OUT, b"1\n"), (NOTE, b"2\n"), (ERR, b"3\nopen")])
    *_, last = store(before, final=True)

    after = new_output(stored=last.position)
    after.note("the worker restarted")
    feed(after, [(OUT, b"1\n"), (ERR, b"3\nopen line\n")])

    assert [(part.line, part.contents) for part in store(after)] == [
        (5, "the worker restarted\n"),
        (6, " line\n"),
    ]


def test_name_of_the_step_is_masked() -> None:
    masker = MaskedValues(["s3cr3t"]).masker()
    output = StepOutput(
        task_id="t", step=0, stored=LogPosition(), limit_bytes=LARGE, step_name="use s3cr3t", masker=masker
    )
    output(OUT, b"1\n")

    [part] = store(output)

    assert part.step_name == "use [REDACTED]"


def test_open_line_after_complete_lines_is_held_back() -> None:
    output = new_output()
    output(OUT, b"whole\nop")
    assert text(store(output)) == "whole\n"
    output(OUT, b"en\n")

    assert text(store(output)) == "open\n"


def test_open_line_alone_is_stored() -> None:
    output = new_output()
    output(OUT, b"a prompt> ")

    [part] = store(output)

    assert part.contents == "a prompt> "
    assert part.position == LogPosition(stdout_open=10, open_source=LogSource.CONTAINER)


def test_parts_are_repeated_until_they_are_stored() -> None:
    output = new_output()
    output(OUT, b"one\n")
    first = unstored(output)
    output(OUT, b"two\n")

    second = store(output)

    assert [part.contents for part in first] == ["one\n"]
    assert [part.contents for part in second] == ["one\n", "two\n"]
    assert unstored(output) == []


def test_parts_are_repeated_after_an_error() -> None:
    output = new_output()
    output(OUT, b"one\n")

    with pytest.raises(KeyError), output.storing():
        raise KeyError

    assert text(store(output)) == "one\n"


def test_no_output_makes_no_part() -> None:
    output = new_output()
    output(OUT, b"")

    assert store(output, final=True) == []


def test_invalid_utf_8_and_nul_are_replaced() -> None:
    output = new_output()
    output(OUT, b"a\xff\x00b\xe2\x82")

    assert text(store(output, final=True)) == "a\ufffd\ufffdb\ufffd"
    assert output.stdout() == b"a\xff\x00b\xe2\x82"


def test_character_may_arrive_in_pieces() -> None:
    output = new_output()
    for byte in "\N{GRINNING FACE}\n".encode():
        output(OUT, bytes([byte]))

    assert text(store(output)) == "\N{GRINNING FACE}\n"


def test_output_above_the_limit_is_dropped_with_one_note() -> None:
    output = new_output(limit_bytes=10)
    for _ in range(5):
        output(OUT, b"12345678\n")

    stored = text(store(output, final=True))

    assert stored.replace("\n", "").count("12345678") == 1
    assert stored.count("above the limit") == 1
    assert len(output.stdout()) == 45
    assert output.last_lines() == "\n".join(["12345678"] * 5)


def test_limit_does_not_apply_to_notes() -> None:
    output = new_output(limit_bytes=0)
    output.note("the image was pulled")

    assert text(store(output)) == "the image was pulled\n"


def test_beginning_of_stdout_is_kept_for_the_result() -> None:
    output = new_output()
    feed(output, [(OUT, b"x" * 40_000), (ERR, b"no"), (NOTE, b"no"), (OUT, b"y" * 40_000)])

    assert output.stdout() == b"x" * 40_000 + b"y" * (MAX_RESULT_BYTES + 1 - 40_000)


def test_last_ten_lines_are_kept_for_the_error() -> None:
    output = new_output()
    for number in range(20):
        output(ERR if number % 2 else OUT, f"line {number}\n".encode())
    output.note("not printed by the step")

    assert output.last_lines() == "\n".join(f"line {number}" for number in range(10, 20))


def test_full_buffer_has_room_once_it_is_stored() -> None:
    output, full = new_output(), list[bool]()

    def note_whether_full() -> None:
        full.append(output.full)

    output(OUT, b"x" * FULL_CHARACTERS)
    note_whether_full()
    output(OUT, b"x\n")
    note_whether_full()
    unstored(output)
    note_whether_full()
    store(output)
    note_whether_full()

    assert full == [False, True, True, False]


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_restart_empties_a_full_buffer(kept: int) -> None:
    output = new_output()
    output(OUT, b"x\n" * FULL_CHARACTERS)

    output.restart(lambda: LogPosition(stdout_lines=kept))

    assert not output.full
