"""Generic routes as a dialect: whatever is asked below a prefix, charged by the call.

The operator says what a route is; nothing but the job that an answer names is read. Free of Django.
"""

from typing import NoReturn

import msgspec

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventReader, RequestFacts
from relay.protocols.openai import OPENAI_ERRORS
from relay.protocols.task_rules import TaskRule
from relay.protocols.videos import FAILED


class RouteEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A generic route as the relay uses it. Without a `price_model` its calls are free."""

    id: int
    prefix: str
    channel_id: int
    upstream_prefix: str
    methods: frozenset[str]
    price_model: str = ""
    rule: TaskRule | None = None

    def has(self, path: str) -> bool:
        """Say whether an address is at or below this route's."""
        return path == self.prefix or path.startswith(self.prefix + "/")


class GenericFacts(RequestFacts, kw_only=True):
    """A request below a route's prefix."""

    route: RouteEntry


class GenericDialect:
    """Requests and answers that pass as they are."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Refuse: what a route serves is known from its address, not from a body."""
        return _refuse()

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body as it is."""
        return body

    def reader(self, facts: RequestFacts) -> EventReader:
        """Refuse: events pass unread."""
        return _refuse()

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect.

        Where a route has a rule for jobs, an answer that names none, or one that has failed at
        once, is delivered for nothing.
        """
        rule = facts.route.rule if isinstance(facts, GenericFacts) else None
        if rule is None:
            return AnswerFacts(usage=Counts(), finished=True, has_content=True)
        task = rule.task_of(body)
        if not task or rule.state_of(body) == FAILED:
            return AnswerFacts(finished=True)
        return AnswerFacts(usage=Counts(), finished=True, has_content=True, object_id=task)

    def prompt(self, body: bytes) -> list[str]:
        """Return nothing: calls are counted, not texts."""
        return []


def _refuse() -> NoReturn:
    raise BadRequest


_DIALECT = GenericDialect()


def endpoint_of(route: RouteEntry) -> Endpoint:
    """Return what a route's calls are asked at: answers that name a job are read whole."""
    return Endpoint(
        name="generic",
        path=route.upstream_prefix,
        dialect=_DIALECT,
        errors=OPENAI_ERRORS,
        uploads=True,
        is_binary=route.rule is None,
    )
