"""What a step prints reaches the datastore in parts, in order, each once."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Stream
from tork_celery.worker.step_output import FULL_CHARACTERS, StepOutput

PART_BYTES = 64 * 1024
LARGE = 10_000_000
OUT, ERR, NOTE = Stream.STDOUT, Stream.STDERR, Stream.NOTE

Printed = Sequence[tuple[Stream, bytes]]

streams = st.sampled_from([OUT, ERR])
texts = st.text(st.sampled_from(list("ab\r\n\n\nä\N{GRINNING FACE}\x00")), max_size=30)
raw = st.one_of(texts.map(str.encode), st.binary(max_size=12))
printed_by_a_step = st.lists(st.tuples(streams, raw), max_size=20)


def new_output(*, stored: LogPosition | None = None, limit_bytes: int = LARGE) -> StepOutput:
    return StepOutput(task_id="t", step=0, stored=stored or LogPosition(), limit_bytes=limit_bytes)


def feed(output: StepOutput, printed: Printed) -> None:
    for stream, data in printed:
        output(stream, data)


def take(output: StepOutput, *, final: bool = False) -> list[LogPart]:
    """What a shipper takes and stores."""
    parts = list(output.take(final=final))
    output.stored()
    return parts


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
def test_however_it_arrives_the_text_is_the_same(data: bytes, cuts: list[int], when: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(data)]
    output, parts = new_output(), list[LogPart]()

    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        output(OUT, data[min(start, len(data)) : min(end, len(data))])
        if number in when:
            parts += take(output)
    parts += take(output, final=True)

    assert text(parts) == decoded([(OUT, data)], OUT)


@given(printed=printed_by_a_step, when=st.sets(st.integers(0, 20)))
def test_the_position_says_how_much_of_each_stream_was_stored(printed: Printed, when: set[int]) -> None:
    output, parts = new_output(), list[LogPart]()
    for number, (stream, data) in enumerate(printed):
        output(stream, data)
        if number in when:
            parts += take(output)
    parts += take(output, final=True)

    position = parts[-1].position if parts else LogPosition()
    out, err = decoded(printed, OUT), decoded(printed, ERR)
    assert position == LogPosition(
        stdout_lines=out.count("\n"),
        stdout_open=len(out.rpartition("\n")[2]),
        stderr_lines=err.count("\n"),
        stderr_open=len(err.rpartition("\n")[2]),
    )
    assert sorted(text(parts)) == sorted(out + err)


@given(
    printed=printed_by_a_step,
    again=st.data(),
    stored_after=st.sets(st.integers(0, 20)),
    kept=st.integers(0, 20),
)
def test_a_step_that_is_followed_from_its_beginning_is_stored_on_from_where_it_was(
    printed: Printed, again: st.DataObject, stored_after: set[int], kept: int
) -> None:
    """Whatever of its parts was stored before, and however its output is cut when it comes again: nothing is
    missing, and nothing is there twice."""
    before, parts = new_output(), list[LogPart]()
    for number, (stream, data) in enumerate(printed):
        before(stream, data)
        if number in stored_after:
            parts += take(before)
    parts += take(before, final=True)
    stored = parts[:kept]

    after = new_output(stored=stored[-1].position if stored else LogPosition())
    for stream, data in printed:  # an engine keeps the order of the streams
        cut = again.draw(st.integers(0, len(data)), label="cut")
        feed(after, [(stream, data[:cut]), (stream, data[cut:])])
    rest = take(after, final=True)

    for stream in (OUT, ERR):
        alone = [(printed_to, data) for printed_to, data in printed if printed_to is stream]
        if alone == printed:
            assert text(stored) + text(rest) == decoded(printed, stream)
    assert sorted(text(stored) + text(rest)) == sorted(decoded(printed, OUT) + decoded(printed, ERR))
    assert after.stdout() == b"".join(data for stream, data in printed if stream is OUT)


@given(printed=printed_by_a_step, kept=st.integers(0, 20))
def test_after_an_outage_the_same_output_goes_on_from_what_was_stored(printed: Printed, kept: int) -> None:
    output, parts = new_output(), list[LogPart]()
    feed(output, printed[:kept])
    parts += take(output)
    feed(output, printed[kept:])

    output.restart(parts[-1].position if parts else LogPosition())
    feed(output, printed)
    parts += take(output, final=True)

    assert sorted(text(parts)) == sorted(decoded(printed, OUT) + decoded(printed, ERR))


lengths = st.integers(0, 3 * PART_BYTES)


@given(
    lines=st.lists(lengths, min_size=1, max_size=6), letter=st.sampled_from(["x", "ä", "\N{GRINNING FACE}"])
)
def test_parts_are_small_and_cut_at_lines_where_there_are_any(lines: list[int], letter: str) -> None:
    printed = "".join(letter * length + "\n" for length in lines)
    output = new_output()
    output(OUT, printed.encode())

    parts = take(output, final=True)

    assert text(parts) == printed
    assert all(len(part.contents.encode()) <= PART_BYTES for part in parts)
    for part in parts:
        in_a_long_line = "\n" not in part.contents
        assert part.contents.endswith("\n") or in_a_long_line


def test_a_part_is_cut_at_the_last_line_that_fits() -> None:
    output = new_output()
    output(OUT, b"a" * 40_000 + b"\n" + b"b" * 40_000 + b"\n")

    first, second = take(output)

    assert (first.contents, second.contents) == ("a" * 40_000 + "\n", "b" * 40_000 + "\n")
    assert first.position == LogPosition(stdout_lines=1)
    assert second.position == LogPosition(stdout_lines=2)


def test_streams_keep_their_order() -> None:
    output = new_output()
    feed(output, [(OUT, b"1\n"), (ERR, b"2\n"), (NOTE, b"3\n"), (OUT, b"4\n")])

    [part] = take(output)

    assert part.contents == "1\n2\n3\n4\n"
    assert part.position == LogPosition(stdout_lines=2, stderr_lines=1)
    assert (part.task_id, part.step) == ("t", 0)


def test_an_open_line_waits_while_there_are_whole_ones_before_it() -> None:
    output = new_output()
    output(OUT, b"whole\nop")
    assert text(take(output)) == "whole\n"
    output(OUT, b"en\n")

    assert text(take(output)) == "open\n"


def test_an_open_line_alone_does_not_wait() -> None:
    output = new_output()
    output(OUT, b"a prompt> ")

    [part] = take(output)

    assert part.contents == "a prompt> "
    assert part.position == LogPosition(stdout_open=10)


def test_what_was_taken_is_taken_again_until_it_is_stored() -> None:
    output = new_output()
    output(OUT, b"one\n")
    first = output.take()
    output(OUT, b"two\n")

    second = output.take()

    assert second[:1] == first
    assert text(second) == "one\ntwo\n"
    output.stored()
    assert output.take() == ()


def test_nothing_printed_is_no_part() -> None:
    output = new_output()
    output(OUT, b"")

    assert take(output, final=True) == []


def test_what_is_not_utf_8_and_what_no_text_can_hold_is_replaced() -> None:
    output = new_output()
    output(OUT, b"a\xff\x00b\xe2\x82")

    assert text(take(output, final=True)) == "a\ufffd\ufffdb\ufffd"
    assert output.stdout() == b"a\xff\x00b\xe2\x82"


def test_a_character_may_come_in_pieces() -> None:
    output = new_output()
    for byte in "\N{GRINNING FACE}\n".encode():
        output(OUT, bytes([byte]))

    assert text(take(output)) == "\N{GRINNING FACE}\n"


def test_what_is_above_the_limit_is_not_kept_and_that_is_said_once() -> None:
    output = new_output(limit_bytes=10)
    for _ in range(5):
        output(OUT, b"12345678\n")

    found = text(take(output, final=True))

    assert found.replace("\n", "").count("12345678") == 1
    assert found.count("above the limit") == 1
    assert len(output.stdout()) == 45
    assert output.last_lines() == "\n".join(["12345678"] * 5)


def test_the_limit_does_not_hold_for_what_the_system_says() -> None:
    output = new_output(limit_bytes=0)
    output.note("the image was pulled")

    assert text(take(output)) == "the image was pulled\n"


def test_the_beginning_of_stdout_is_kept_for_the_result() -> None:
    output = new_output()
    feed(output, [(OUT, b"x" * 40_000), (ERR, b"no"), (NOTE, b"no"), (OUT, b"y" * 40_000)])

    assert output.stdout() == b"x" * 40_000 + b"y" * (MAX_RESULT_BYTES + 1 - 40_000)


def test_the_last_ten_lines_are_kept_for_the_error() -> None:
    output = new_output()
    for number in range(20):
        output(ERR if number % 2 else OUT, f"line {number}\n".encode())
    output.note("not of the step")

    assert output.last_lines() == "\n".join(f"line {number}" for number in range(10, 20))


def test_a_buffer_is_full_until_it_was_stored() -> None:
    output = new_output()
    output(OUT, b"x" * FULL_CHARACTERS)
    assert not output.full
    output(OUT, b"x\n")
    assert output.full

    output.take()
    assert output.full
    output.stored()

    assert not output.full


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_full_buffer_that_is_begun_anew_is_not_full(kept: int) -> None:
    output = new_output()
    output(OUT, b"x\n" * FULL_CHARACTERS)

    output.restart(LogPosition(stdout_lines=kept))

    assert not output.full
