"""Forms with files: read by spans, in one way only, and refused when there could be two."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadRequest
from relay.protocols.multipart import (
    MAX_FIELD_BYTES,
    MAX_PARTS,
    Form,
    read_form,
    reread,
    with_field,
)
from tests.relay.protocols.forms import BOUNDARY, FORM_TYPE, field, file, form, part, upload

ONCE = frozenset({"model", "file"})


def read(body: bytes, content_type: bytes = FORM_TYPE) -> Form:
    return read_form(body, content_type, once=ONCE)


def refusal(body: bytes, content_type: bytes = FORM_TYPE) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        read(body, content_type)
    return refused.value


def test_fields_and_files_are_found_where_they_stand() -> None:
    found = read(upload([("model", "whisper-1")], [("file", b"\x00\r\n--\r\n\xff")]))
    assert found.text("model") == "whisper-1"
    [audio] = found.files("file")
    assert (audio.filename, audio.content_type) == ("a.bin", "application/octet-stream")
    assert found.content(audio) == b"\x00\r\n--\r\n\xff"


def test_what_is_not_there_is_nothing() -> None:
    found = read(upload([("model", "")]))
    assert (found.text("model"), found.text("prompt"), found.files("file")) == ("", None, [])


def test_the_form_of_a_common_client_is_read() -> None:
    request = httpx.Request(
        "POST", "http://x/", data={"model": "whisper-1"}, files={"file": ("ü.mp3", b"sound")}
    )
    found = read(request.read(), request.headers["content-type"].encode())
    assert found.text("model") == "whisper-1"
    assert found.content(found.files("file")[0]) == b"sound"


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="model"',
        "form-data; name=model",
        'Form-Data ; NAME = "model"',
        'form-data;name="model";',
        'form-data; extra=1; name="model"',
    ],
)
def test_a_name_may_be_quoted_in_any_legal_way(disposition: str) -> None:
    assert read(form(part(disposition, b"tts-1"))).text("model") == "tts-1"


def test_a_file_may_be_named_in_the_letters_of_any_country() -> None:
    body = form(part('form-data; name="file"; filename="NAME.mp3"', b"sound"))
    body = body.replace(b"NAME", "你好".encode("gbk"))
    assert [found.size_bytes for found in read(body).files("file")] == [5]


@pytest.mark.parametrize(
    "written",
    ["boundary=" + BOUNDARY.decode(), f'BOUNDARY="{BOUNDARY.decode()}"; charset=utf-8'],
)
def test_a_boundary_may_be_quoted(written: str) -> None:
    body = upload([("model", "tts-1")])
    assert read(body, f"multipart/form-data; {written}".encode()).text("model") == "tts-1"


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/mixed; boundary=" + BOUNDARY,
        FORM_TYPE + b"; \xff",
        FORM_TYPE + b"; x=" + b"y" * 1_024,
    ],
)
def test_without_one_boundary_there_is_no_form(content_type: bytes) -> None:
    refusal(upload([("model", "tts-1")]), content_type)


def test_a_form_without_its_end_is_refused() -> None:
    whole = upload([("model", "tts-1")], [("file", b"sound")])
    assert all(refusal(whole[:cut]) for cut in range(len(whole) - 4))
    assert read(whole[:-2])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n" + upload([("model", "a")]),
        upload([("model", "a")]) + b"epilogue",
        upload([("model", "a")]).replace(b"\r\n", b"\n"),
        form(field("model", "a\r\n--" + BOUNDARY.decode() + "b")),
        form(b"\r\nno headers\r\n"),
        form(part("form-data", b"no name")),
        form(part("attachment; name=model", b"a")),
        form(part("form-data; name=a; name=model", b"a")),
        form(part("form-data; name*=utf-8''model; name=a", b"a")),
        form(part("form-data; name=model", b"YQ==", "Content-Transfer-Encoding: base64")),
        form(part("form-data; name=model", b"a", "Content-Disposition: form-data; name=b")),
        form(part("form-data; name=model", b"a", " folded: line")),
        form(part("form-data; name=model", b"\xff\xfe")),
        form(part("form-data; name=model", b"a", "Content-Type: text/plain; charset=utf-16")),
        form(*[field("a", "b")] * (MAX_PARTS + 1)),
        form(part("form-data; name=a" + "a" * 9_000, b"a")),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    refusal(body)


def test_a_field_that_decides_may_be_given_once_only() -> None:
    assert refusal(upload([("model", "a"), ("model", "b")])).param == "model"
    assert refusal(form(file("file", b"a"), file("file", b"b"))).param == "file"
    assert read(upload([("stop[]", "a"), ("stop[]", "b")]))


@pytest.mark.parametrize("name", ["Model", "mo\\del", "%6dodel", " model"])
def test_a_name_that_could_be_taken_for_one_that_decides_is_refused(name: str) -> None:
    assert refusal(upload([("model", "a"), (name, "b")])).param == "model"


def test_a_field_is_bounded_and_a_file_is_not() -> None:
    assert refusal(upload([("prompt", "x" * (MAX_FIELD_BYTES + 1))])).param == "prompt"
    assert read(upload([], [("file", bytes(MAX_FIELD_BYTES + 1))])).files("file")


def test_a_model_is_spliced_and_nothing_else_changes() -> None:
    body = upload([("model", "whisper-1"), ("prompt", "whisper-1")], [("file", b"whisper-1")])
    spliced = with_field(read(body), "model", "base")
    assert spliced == body.replace(b"whisper-1", b"base", 1)


def test_a_model_that_is_not_there_is_added() -> None:
    body = upload([("prompt", "a cat")])
    added = with_field(read(body), "model", "dall-e-2")
    assert added.endswith(body)
    assert (read(added).text("model"), read(added).text("prompt")) == ("dall-e-2", "a cat")


def test_a_form_is_read_again_without_its_type() -> None:
    body = b"\r\n" + upload([("prompt", "a cat")], [("image", b"picture")])
    assert reread(body) == read(body)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_whatever_comes_is_a_form_or_refused(body: bytes, content_type: bytes) -> None:
    for kind in (content_type, FORM_TYPE):
        try:
            read(body, kind)
        except BadRequest:
            continue


@given(st.data())
def test_a_damaged_form_is_a_form_or_refused(data: st.DataObject) -> None:
    whole = upload([("model", "tts-1")], [("file", b"sound")])
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + 1 :]
    try:
        found = read(damaged)
    except BadRequest:
        return
    assert all(0 <= p.span[0] <= p.span[1] <= len(damaged) for p in found.parts)
