"""How long an upload is: by its header, if its size allows that; never slowly, never by a crash."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.protocols.audio_length import seconds_bound, seconds_told
from tests.relay import sounds

KINDS = {
    "wav": sounds.wav(12),
    "flac": sounds.flac(12),
    "ogg": sounds.ogg(12),
    "m4a": sounds.m4a(12),
    "webm": sounds.webm(12),
    "webm of a muxer": sounds.webm(12, is_live=False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_length_is_in_the_header(kind: str) -> None:
    assert seconds_told(KINDS[kind]) == 12


def test_a_begun_second_is_a_second() -> None:
    assert [seconds_told(sounds.wav(length)) for length in (0.1, 59.9, 60, 60.001)] == [
        1,
        60,
        60,
        61,
    ]


def test_the_frames_of_an_mp3_are_counted() -> None:
    assert seconds_told(sounds.mp3(500)) == math.ceil(500 * 1152 / 44_100)


def test_a_tag_in_front_is_no_sound() -> None:
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 15, 80]) + bytes(2_000)
    assert seconds_told(tag + sounds.mp3(500)) == 14


def test_an_index_behind_the_sound_is_no_sound() -> None:
    index = b"\x1c\x53\xbb\x6b\x40\x40" + b"\xbb\xa3\x85\x81\x7f\xff\x80" * 9
    assert seconds_told(sounds.webm(12, is_live=False) + index) == 12


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"sound", b"RIFF", b"\x1a\x45\xdf\xa3", b"\xff\xfb"]
)
def test_what_is_no_sound_has_no_length(content: bytes) -> None:
    assert seconds_told(content) is None


def test_more_bytes_than_the_told_seconds_can_hold_are_not_believed() -> None:
    """A minute of OGG that claims a second, and one of FLAC."""
    long = sounds.ogg(600)
    assert seconds_told(long[: len(sounds.ogg(1)) - 5] + long) is None
    assert seconds_told(sounds.flac(1) + bytes(2_000_000)) is None


def test_fewer_bytes_than_the_told_seconds_need_are_not_believed() -> None:
    assert seconds_told(sounds.m4a(12)[:200]) is None
    endless = b"\xe7\x88" + struct.pack(">Q", 2**63)
    assert seconds_told(b"\x1a\x45\xdf\xa3\x80\x1f\x43\xb6\x75\xff" + endless) is None


def test_a_length_that_nobody_tells_is_bounded_by_its_size() -> None:
    assert (seconds_bound(0), seconds_bound(2_000_000)) == (1, 1_001)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 8_000_000,
        b"\xff\xfb\x90\x64" + bytes(8_000_000),
        b"\x00\x00\x00\x08ftyp" * 1_000_000,
    ],
)
def test_a_file_made_to_be_searched_is_given_up(content: bytes) -> None:
    assert seconds_told(content) is None


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_damaged_sound_has_some_length_or_none(kind: str, data: st.DataObject) -> None:
    whole = KINDS[kind][:3_000]
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=12)) + whole[at + 1 :]
    told = seconds_told(damaged)
    assert told is None or 0 < told <= len(damaged) / 400 + 2
