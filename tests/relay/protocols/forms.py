"""Forms that the tests of uploads start from, written by hand and by no library."""

from collections.abc import Sequence

BOUNDARY = b"----form-of-a-test"
FORM_TYPE = b"multipart/form-data; boundary=" + BOUNDARY

File = tuple[str, bytes]


def field(name: str, value: str) -> bytes:
    """Return a field as most clients write it."""
    return part(f'form-data; name="{name}"', value.encode())


def file(name: str, content: bytes, *, filename: str = "a.bin") -> bytes:
    """Return a file as most clients write it."""
    disposition = f'form-data; name="{name}"; filename="{filename}"'
    return part(disposition, content, "Content-Type: application/octet-stream")


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    """Return a part with a disposition that may be anything."""
    head = "\r\n".join([f"Content-Disposition: {disposition}", *headers])
    return b"%b\r\n\r\n%b\r\n" % (head.encode(), content)


def form(*parts: bytes) -> bytes:
    """Return a whole form."""
    return b"".join(b"--%b\r\n%b" % (BOUNDARY, one) for one in parts) + b"--%b--\r\n" % BOUNDARY


def upload(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """Return a form of fields and files."""
    return form(*(field(*one) for one in fields), *(file(*one) for one in files))
