"""What translations make of any bytes: never a fault, and what they say is what they were told.

The seeds are those of the endpoint that is translated from: the client's for requests, the
upstream's for answers and events.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial

from relay.errors import RelayError
from relay.protocols.base import Asked, Endpoint, RequestFacts
from relay.protocols.endpoints import ENDPOINTS
from relay.sse import EventSplitter
from relay.translate import TRANSLATIONS
from relay.translate.base import Translation
from tests.fuzz.mutations import cut

MOST_OUTPUT = 4_096
_MADE_UP = frozenset({"created", "created_at", "id"})
Check = Callable[[bytes], None]


def check_request(client: Endpoint, translation: Translation, data: bytes) -> None:
    """A request is refused, or becomes one that the other dialect can read."""
    try:
        facts = client.dialect.read(client, Asked(data))
        made = translation.request(data, facts, most_output=MOST_OUTPUT)
    except RelayError as error:
        assert 400 <= error.status < 500
        return
    assert isinstance(json.loads(made), dict)
    translation.endpoint.dialect.read(translation.endpoint, Asked(made, model="model"))


def check_answer(
    client: Endpoint, translation: Translation, facts: RequestFacts, data: bytes
) -> None:
    """A whole answer becomes one that the client's dialect can read."""
    told = translation.endpoint.dialect.answer(data, facts, b"application/json")
    if told.error is None:
        made = translation.answer(data, facts)
        said = client.dialect.answer(made, facts, b"application/json")
        assert said.error is None


def check_events(
    client: Endpoint, translation: Translation, facts: RequestFacts, data: bytes
) -> None:
    """A stream becomes whole events of the client's dialect, the same wherever it was cut."""
    made = _translated(translation, facts, [data])
    pieces = _translated(translation, facts, cut(data))
    splitter, reader = EventSplitter(), client.dialect.reader(facts)
    said = [reader.read(event) for event in splitter.feed(made)]
    assert _without_times(made) == _without_times(pieces)
    assert splitter.rest == b""
    assert not [event for event in said if event.error]


def _translated(translation: Translation, facts: RequestFacts, pieces: Iterable[bytes]) -> bytes:
    """Return the client's events, up to an error if there is one."""
    splitter, reader = EventSplitter(), translation.endpoint.dialect.reader(facts)
    translator = translation.events(facts)
    made = b""
    for event in (event for piece in pieces for event in splitter.feed(piece)):
        said = reader.read(event)
        if said.error is not None:
            return made
        made += translator.feed(event, said)
    return made + translator.end()


def _without_times(events: bytes) -> list[object]:
    """Return what events say, without when they were made and the ids that were made up."""
    lines = [line.partition(b": ")[2] for line in events.split(b"\n") if line.startswith(b"data")]
    found = [json.loads(line) if line.startswith(b"{") else line for line in lines]
    return [_bare(one) for one in found]


def _bare(value: object) -> object:
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items() if name not in _MADE_UP}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def checks() -> dict[str, tuple[str, Check]]:
    """Return the properties by name, each with the kind and the path of the seeds it needs."""
    found: dict[str, tuple[str, Check]] = {}
    clients = {endpoint.name: endpoint for endpoint in ENDPOINTS.values()}
    for name, translations in TRANSLATIONS.items():
        client = clients[name]
        for translation in translations:
            facts = RequestFacts(client, "model", 0, stream=True, wants_usage=True)
            other = translation.endpoint
            asked = f"{name} as {other.name}"
            found[f"{asked} request"] = (name, partial(check_request, client, translation))
            if translation.local is None:
                told = f"{other.name} as {name}"
                for kind, check in (("answer", check_answer), ("events", check_events)):
                    made = partial(check, client, translation, facts)
                    found[f"{told} {kind}"] = (other.name, made)
    return found
