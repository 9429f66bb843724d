"""What every dialect has to tell the relay: what a request asks for, what an answer says.

A dialect is what clients speak at some addresses. Each is one object in a file of its own beside
this one; `relay/paths.py` knows the addresses. Free of Django.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from billing.pricing import Counts
from relay.errors import RelayError
from relay.protocols.json_text import Outline

NO_OUTLINE = Outline(b"")

UNSEEN_TOKENS = 32_768
"""Held for a file that lies elsewhere, whose size nobody tells us, without a figure for files."""

ErrorWriter = Callable[[RelayError, str], bytes]


class ErrorStyle(NamedTuple):
    """How a family of clients wants to be told what went wrong: as a body, or ending a stream.

    Both writers take the error and our request id. `repeats_id`: clients look for that id in
    `request-id` too.
    """

    name: str
    body: ErrorWriter
    event: ErrorWriter
    repeats_id: bool = False


class Endpoint(msgspec.Struct, frozen=True, gc=False, eq=False, kw_only=True):
    """An address of a dialect; `path` has `{model}` where the address names it.

    `name` stands in usage records and in the lists of keys and channels. `streams`: it can answer
    with server-sent events. `writes`: a model writes the answer, so output is held and charged.
    `takes_limit`: an upstream can be told to write less; else all it may write is held at once.
    `uploads`: the body carries files. `is_binary`: the answer may be bytes that nobody looks into.
    `is_free`: nothing is charged. `filler` is what may stand between two events without a meaning.
    """

    name: str
    path: str
    dialect: "Dialect"
    errors: ErrorStyle
    streams: bool = False
    writes: bool = False
    takes_limit: bool = False
    uploads: bool = False
    is_binary: bool = False
    is_free: bool = False
    filler: bytes = b": ping\n\n"


class Asked(NamedTuple):
    """A request as it reached its endpoint; `model` is from the address."""

    body: bytes
    model: str = ""
    content_type: bytes = b""
    query: bytes = b""


class RequestFacts(msgspec.Struct, gc=False):
    """What a request asks for; filled by its dialect only.

    The input is bounded by `text_bytes` tokens plus what the non-text items cost; `image_bytes`,
    `audio_bytes`, `file_bytes` are what those items take in the body and are not in `text_bytes`.
    `output_limit` is the client's limit for each of `choices` answers, `limit_field` its name (the
    larger, if both are given); None without a limit. `echoed_bytes` bounds the tokens that an
    answer may repeat beyond the limit. `token_ids` is the exact input when no text is given.
    `drawings` are pictures that a tool of the vendor's may draw; it is refused without a price.
    `cache_write` is "5m" or "1h" when the input may be billed as written into the vendor's cache.

    `units` is what it asks for beside tokens: images, seconds, characters, searches. They are held,
    and charged on delivery unless the answer says better. `variants` are names of price rows that
    go before the model's own, the most exact first. `conversation` is the same for requests that
    share a prompt cache. `bound_to` is the id of what an earlier request has left upstream.
    `content_type` is empty for JSON; `query` goes to the upstream as it is. `tail` is what stands
    behind the endpoint's address there, asked with `method`. `shape` is for a client that does not
    take events.
    """

    endpoint: Endpoint
    model: str
    text_bytes: int
    around: Outline = NO_OUTLINE
    stream: bool = False
    wants_usage: bool = False
    stream_options: bytes = b""
    output_limit: int | None = None
    limit_field: str | None = None
    limit_members: tuple[str, ...] = ()
    choices: int = 1
    echoed_bytes: int = 0
    messages: int = 0
    token_ids: int = 0
    images: int = 0
    image_bytes: int = 0
    audio: int = 0
    audio_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    wants_audio: bool = False
    searches: int = 0
    drawings: int = 0
    cache_write: str = ""
    units: Counts | None = None
    variants: tuple[str, ...] = ()
    conversation: str = ""
    bound_to: str = ""
    content_type: bytes = b""
    query: bytes = b""
    method: str = "POST"
    tail: str = ""
    shape: "StreamShape | None" = None

    @property
    def is_token_ids(self) -> bool:
        """Return whether the input is given as token ids, which need no counting."""
        return self.token_ids > 0


class AnswerFacts(msgspec.Struct, frozen=True, gc=False):
    """What a whole answer says. `text` is what its model wrote, for counting.

    `usage` is all that is charged; without one it is the prompt and `text`, as we count them, and
    `units`: what has been delivered of the request's own, if the answer shows that. `error` is the
    answer itself when it is an error in spite of its status. `object_id` is the upstream's name for
    what it keeps of this request, if it does.
    """

    usage: Counts | None = None
    finished: bool = False
    has_content: bool = False
    text: str = ""
    units: Counts | None = None
    error: bytes | None = None
    object_id: str = ""


class EventFacts(msgspec.Struct, frozen=True, gc=False):
    """What one event says.

    `has_content`: the model has delivered something, be it text, a call, a refusal or audio.
    `usage` is all that is known so far. `is_usage_only`: made for `include_usage`, to be stripped
    unless the client asked for it. `finished`: an answer has ended; `done`: the stream has. `error`
    is the data of an error event.
    """

    text: str = ""
    has_content: bool = False
    usage: Counts | None = None
    is_usage_only: bool = False
    finished: bool = False
    done: bool = False
    error: bytes | None = None
    object_id: str = ""


class StreamShape(Protocol):
    """What the stream of one request looks like if it is not passed on as the events it is."""

    @property
    def content_type(self) -> bytes: ...

    @property
    def errors(self) -> ErrorStyle: ...

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return what the client gets for an event, which may be nothing."""

    def end(self) -> bytes:
        """Return what ends the stream, after the upstream's has ended well."""


class EventReader(Protocol):
    """Reads the events of one stream, one after the other; remembers the latest usage."""

    usage: Counts | None
    finished: bool

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""


class Dialect(Protocol):
    """What clients speak at some endpoints. Stateless."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a request asks for. Raises BadRequest that names the field."""

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body for an upstream that knows the model as `served`, changed where it must.

        `output_limit` are the tokens that each answer may have, None for no limit of ours;
        `limit_field` is where the upstream takes it if the client has not said.
        """

    def reader(self, facts: RequestFacts) -> EventReader:
        """Return a reader for the stream that answers a request."""

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer to a request says."""

    def prompt(self, body: bytes) -> list[str]:
        """Return every text of a request that its model reads, for counting."""
