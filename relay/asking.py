"""What is sent to an upstream: the client's own bytes, changed only where they must be.

The constant part of a request is made once for a credential and what varies. Called by
`forwarding`, once an attempt.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from relay.headers import JSON, TO_UPSTREAM, Header, encoded
from relay.protocols.base import RequestFacts
from relay.providers.base import LocalCall
from relay.routing import Choice
from relay.snapshot import MAX_TEMPLATES, Offer
from relay.translate.base import LIMIT_FIELD
from relay.upstream import HeadTemplate, UpstreamRequest, UpstreamResponse, parse_base_url

if TYPE_CHECKING:
    from relay.exchange import Exchange

MAX_PASSED_BYTES = 1_024


def ask(exchange: "Exchange", choice: Choice) -> Awaitable[UpstreamResponse]:
    """Send the request once; raises the leaves of UpstreamError, BadRequest from a translation."""
    facts, channel = exchange.facts, choice.offer.channel
    body = _body(exchange, choice)
    if (local := choice.offer.local) is not None:
        return local.respond(_local_call(choice, facts, body))
    return exchange.services.upstream(channel.proxy_url).send(
        _request(exchange, choice, body),
        channel.timeouts,
        channel.policy,
        stream=facts.stream or facts.endpoint.is_binary,
    )


def _body(exchange: "Exchange", choice: Choice) -> bytes:
    """Return the body for a channel: the client's own, changed only where it must be."""
    facts, admitted, offer = exchange.facts, exchange.admitted, choice.offer
    field = facts.limit_field
    limit = admitted.output_limit()
    if limit is not None:
        limit = max(1, (limit - facts.echoed_bytes) // facts.choices)
        own = offer.channel.provider.limit_field(offer.served, facts.endpoint)
        field = field or (LIMIT_FIELD if offer.translation else own)
    body = facts.endpoint.dialect.rewritten(
        exchange.body, facts, served=offer.served, output_limit=limit, limit_field=field or ""
    )
    if offer.translation is not None:
        most = max(1, admitted.bound.cap_tokens // max(1, facts.choices))
        body = offer.translation.request(body, facts, most_output=most)
    return body


def _local_call(choice: Choice, facts: RequestFacts, body: bytes) -> LocalCall:
    offer = choice.offer
    return LocalCall(
        offer.endpoint,
        offer.served,
        body,
        offer.channel.timeouts,
        stream=facts.stream,
        content_type=facts.content_type,
        query=facts.query,
        method=facts.method,
        tail=facts.tail,
    )


def _request(exchange: "Exchange", choice: Choice, body: bytes) -> UpstreamRequest:
    facts, template = exchange.facts, _head(exchange, choice)
    if facts.content_type:
        return template.request(body, headers=[(b"content-type", facts.content_type)])
    return template.request(body)


def _head(exchange: "Exchange", choice: Choice) -> HeadTemplate:
    """Return the constant part of the request, made once for a credential and what varies."""
    facts, offer = exchange.facts, choice.offer
    passed = _passed(exchange, offer)
    if facts.tail or facts.method != "POST":
        return _new_head(facts, choice, passed)
    is_json = not facts.content_type
    variant = (offer.endpoint.path, offer.served, facts.stream, is_json, facts.query, *passed)
    templates = choice.credential.templates
    template = templates.get(variant)
    if template is None:
        template = _new_head(facts, choice, passed)
        if len(templates) < MAX_TEMPLATES:
            templates[variant] = template
    return template


def _passed(exchange: "Exchange", offer: Offer) -> list[Header]:
    """Return the client's headers for the upstream, without those that are absurdly long."""
    if offer.translation is not None:
        return []
    headers = exchange.call.headers
    return [
        (name, value)
        for name in TO_UPSTREAM[offer.endpoint.errors.name]
        if (value := headers.get(name)) is not None and len(value) <= MAX_PASSED_BYTES
    ]


def _new_head(facts: RequestFacts, choice: Choice, passed: Sequence[Header]) -> HeadTemplate:
    offer = choice.offer
    channel = offer.channel
    origin, _ = parse_base_url(channel.base_url)
    extra = encoded(channel.extra_headers)
    headers = channel.provider.headers(choice.credential.secret, [*passed, *extra])
    path = channel.provider.path(
        channel.base_url, offer.endpoint, offer.served, stream=facts.stream
    ).encode()
    if facts.tail:
        path, mark, own_query = path.partition(b"?")
        path += facts.tail.encode() + mark + own_query
    if facts.query and offer.translation is None:
        path += (b"&" if b"?" in path else b"?") + facts.query
    return HeadTemplate(
        method=facts.method,
        origin=origin,
        path=path,
        headers=headers if facts.content_type else [JSON, *headers],
    )
