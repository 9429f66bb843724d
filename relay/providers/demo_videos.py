"""The demo's videos: jobs that end by the clock, kept nowhere. Called by `demo`.

All that there is to know of a job stands in its id: when it began, how long it lasts, whether it
fails. So any process can be asked for it.
"""

import re
import secrets
import time
from typing import Any, NamedTuple

from relay.protocols.multipart import is_form, read_form
from relay.protocols.videos import SECONDS, SIZE, decoded
from relay.providers.base import LocalCall
from relay.providers.demo_base import DemoResponse, json_answer, once, refused, wait
from relay.providers.demo_openai import error_of, told_to_fail
from relay.providers.demo_text import Directives, read_directives
from relay.wire.errors import FirstByteTimeout

_ID = re.compile(r"video_demo_([0-9a-f]+)_(\d+)_(\d+)_([0-9A-Za-z]+)_(ok|fail)_[0-9a-f]{8}")
_PLAIN = Directives()
# A file type box and an empty media box: as much of a film as can be kept nowhere.
_FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x08mdat"
_LONGEST = 3_600


class _Order(NamedTuple):
    prompt: str
    seconds: str
    size: str


class _Job(NamedTuple):
    """A job as its id tells it."""

    id: str
    began_ms: int
    lasts_ms: int
    seconds: str
    size: str
    fails: bool

    @property
    def progress(self) -> int:
        """How much of it is done, in percent."""
        if not self.lasts_ms:
            return 100
        return min(100, (_now_ms() - self.began_ms) * 100 // self.lasts_ms)

    def told(self, model: str) -> dict[str, Any]:
        """Return what OpenAI says of a video."""
        progress = self.progress
        status = "in_progress" if progress < 100 else "failed" if self.fails else "completed"
        error = {"code": "demo_failure", "message": "The demo was told to fail."}
        return {
            "id": self.id,
            "object": "video",
            "created_at": self.began_ms // 1000,
            "model": model,
            "status": status,
            "progress": progress,
            "seconds": self.seconds,
            "size": self.size,
            "error": error if status == "failed" else None,
        }


async def answer(call: LocalCall) -> DemoResponse:
    """Begin a video, or answer for one."""
    known, _, what = call.tail.strip("/").partition("/")
    job = _job(known) if known else None
    if known and job is None:
        return _missing("There is no such video.")
    if job is not None and call.method != "POST":
        return _about(call, job, what)
    order = _order(call)
    told = read_directives(order.prompt)
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status >= 400:
        return told_to_fail(told)
    begun = _begun(order, told) if job is None else _begun(_again(order, job), told)
    return json_answer(begun.told(call.served), told, call.timeouts)


def _about(call: LocalCall, job: _Job, what: str) -> DemoResponse:
    if call.method == "DELETE":
        gone = {"id": job.id, "object": "video.deleted", "deleted": True}
        return json_answer(gone, _PLAIN, call.timeouts)
    if what != "content":
        return json_answer(job.told(call.served), _PLAIN, call.timeouts)
    if job.progress < 100 or job.fails:
        return _missing("The video is not ready.")
    headers = ((b"content-type", b"video/mp4"), (b"content-length", b"%d" % len(_FILM)))
    return DemoResponse(200, headers, once(_FILM))


def _begun(order: _Order, told: Directives) -> _Job:
    end = "fail" if told.fail else "ok"
    began_ms = _now_ms()
    name = f"video_demo_{began_ms:x}_{told.lasts_ms}_{order.seconds}_{order.size}_{end}"
    name += f"_{secrets.token_hex(4)}"
    return _Job(name, began_ms, told.lasts_ms, order.seconds, order.size, told.fail)


def _again(order: _Order, job: _Job) -> _Order:
    return order._replace(seconds=job.seconds, size=job.size)


def _job(video_id: str) -> _Job | None:
    found = _ID.fullmatch(video_id)
    if not found:
        return None
    began_ms, lasts_ms, seconds, size, end = found.groups()
    return _Job(video_id, int(began_ms, 16), int(lasts_ms), seconds, size, end == "fail")


def _order(call: LocalCall) -> _Order:
    if is_form(call.content_type):
        form = read_form(call.body, call.content_type)
        texts = {name: form.text(name) or "" for name in ("prompt", "seconds", "size")}
    else:
        document = decoded(call.body)
        fields = document if isinstance(document, dict) else {}
        texts = {name: str(fields.get(name) or "") for name in ("prompt", "seconds", "size")}
    seconds = texts["seconds"]
    if not (seconds.isdigit() and 0 < int(seconds) <= _LONGEST):
        seconds = SECONDS
    size = texts["size"] if texts["size"].isalnum() else SIZE
    return _Order(texts["prompt"], seconds, size)


def _missing(message: str) -> DemoResponse:
    return refused(404, error_of(message, 404))


def _now_ms() -> int:
    return int(time.time() * 1000)
