"""Events come out whole and untouched, wherever the network cut the stream."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sse import EventSplitter, event_data
from relay.wire.errors import ProtocolViolation

LINE_ENDS = (b"\n", b"\r\n", b"\r")
LINES = (
    b"data: {}",
    b"data:x",
    b": ping",
    b"event: error",
    b"id: 1",
    b"data",
    b"",
    "数据".encode(),
)
STREAMS = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(LINE_ENDS))).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    splitter = EventSplitter()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    events = [event for start, end in pairwise(edges) for event in splitter.feed(stream[start:end])]
    return [*events, splitter.rest]


@given(STREAMS, st.lists(st.integers(min_value=0), max_size=20))
def test_any_cut_of_the_stream_yields_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert split(stream, cuts) == split(stream, [])


@given(STREAMS, st.lists(st.integers(min_value=0), max_size=5))
def test_no_byte_is_lost_or_changed(stream: bytes, cuts: list[int]) -> None:
    assert b"".join(split(stream, cuts)) == stream


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_event_comes_out_with_its_blank_line(end: bytes) -> None:
    event = b"data: 1" + end + end
    assert EventSplitter().feed(event) == [event]


def test_an_event_ended_by_bare_carriage_returns_waits_for_the_next_byte() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\r\r") == []
    assert splitter.feed(b"data: 2\r\r") == [b"data: 1\r\r"]
    assert splitter.rest == b"data: 2\r\r"


def test_several_events_of_one_chunk_come_out_in_order() -> None:
    events = [b"data: 1\n\n", b": ping\n\n", b"data: [DONE]\n\n"]
    assert EventSplitter().feed(b"".join(events)) == events


def test_a_surplus_line_end_belongs_to_the_next_event() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\n\n\n") == [b"data: 1\n\n"]
    assert splitter.feed(b"data: 2\n\n") == [b"\ndata: 2\n\n"]


def test_an_unfinished_event_is_the_rest() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\n\ndata: [DO") == [b"data: 1\n\n"]
    assert splitter.rest == b"data: [DO"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_line_without_end_is_refused(size: int) -> None:
    splitter = EventSplitter(limit_bytes=100)
    with pytest.raises(ProtocolViolation):
        for _ in range(200):
            splitter.feed(b"x" * size)


def test_a_twenty_megabyte_line_is_refused_by_default() -> None:
    with pytest.raises(ProtocolViolation):
        EventSplitter().feed(b"data: " + b"x" * 20_000_000 + b"\n\n")


def test_an_event_that_is_too_long_is_refused_beside_short_ones() -> None:
    with pytest.raises(ProtocolViolation):
        EventSplitter(limit_bytes=20).feed(b"data: 1\n\ndata: " + b"x" * 20 + b"\n\ndata: 2\n\n")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  {}\n\n", b" {}"),
        (b"data: {}\r\n\r\n", b"{}"),
        (b"data: {}\r\r", b"{}"),
        (b"\xef\xbb\xbfdata: {}\n\n", b"{}"),
        (b"event: error\ndata: {}\n\n", b"{}"),
        (b"\ndata: {}\n\n", b"{}"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b": ping\n\n", None),
        (b"datax: {}\n\n", None),
        (b"\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert event_data(event) == data
