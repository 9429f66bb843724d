"""What the events of a conversation bring, read for what they cost."""

import pytest

from relay.protocols.realtime import Given, given_by, read_event

START = b'{"type":"conversation.item.create","item":'


def given(item: bytes) -> Given:
    event = read_event(START + item + b"}")
    assert event is not None
    return given_by(event)


def test_a_clients_item_is_read_for_its_text_sound_and_pictures() -> None:
    content = b'[{"type":"input_text","text":"Hi"},{"type":"input_audio","audio":"AAAA"}'
    found = given(b'{"content":%b,{"type":"input_image","image_url":"data:"}]}' % content)
    assert found == Given(text="Hi", audio_bytes=3, images=1)


@pytest.mark.parametrize("odd", [b'"\xff"', b"1e900"])
def test_an_item_that_can_not_be_read_counts_as_text_to_its_last_byte(odd: bytes) -> None:
    item = b'{"text":"Hi","odd":%b}' % odd
    assert given(item) == Given(text=item.decode(errors="replace"))
