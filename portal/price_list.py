"""A shop's models as its pages list them: prices, kinds, whether they work now, how fast they are.

Called by the models page, the storefront and the token counter; all in the shop's open scope.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from billing import catalogue, tenants
from billing.models import Tenant
from billing.price_files import PART_OF
from billing.pricing import BUCKETS, Price, split_variant
from portal import model_facts, rates
from portal.rates import Rate
from relay import status
from relay.status import Speed, State

BEST_KNOWN = (
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-5",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "deepseek-chat",
    "gpt-4",
    "gpt-3.5-turbo",
)
DAY = timedelta(days=1)
NO_ENDPOINT = "no_endpoint"
"""A channel has the model, but nobody serves the endpoint at which its kind is called."""

_PLACE = {bucket: place for place, bucket in enumerate(BUCKETS)}
_COLUMNS = ("input", "cached_input", "output")
_PER_THOUSAND = 1_000


@dataclass(frozen=True)
class Cell:
    """A price in base tokens per unit, split at its point so that a column lines up; and money.

    `money` is what a million units cost, or one unit of what is not counted in tokens.
    """

    whole: str
    fraction: str
    padding: str
    money: str


@dataclass(frozen=True)
class UnitPrice:
    """The price of what is not counted in tokens: an image, a second, a thousand characters."""

    price: Cell
    unit: str


@dataclass(frozen=True)
class Row:
    """A model of the list. Cells are None where a model has no such price."""

    price: Price
    vendor: str
    kind: str
    tags: list[str]
    state: State
    speed: Speed | None
    input: Cell | None
    cached: Cell | None
    output: Cell | None
    per_unit: UnitPrice | None

    @property
    def name(self) -> str:
        """Return the name of the price row: the model's, or that of one of its sizes."""
        return self.price.model

    @property
    def asked(self) -> str:
        """Return the name that clients ask for."""
        return split_variant(self.name)[0]

    @property
    def label(self) -> str:
        """Return the name as people read it."""
        return model_facts.label_of(self.name)

    @property
    def size(self) -> str:
        """Return of what size and quality it is the price, "" for a model's own."""
        return self.label.removeprefix(self.asked).removeprefix(", ")

    @property
    def is_free(self) -> bool:
        """Tell whether it costs nothing at all."""
        return not any(self.price.ubt)

    @property
    def input_ubt(self) -> int:
        """Return what a token sent costs."""
        return token_ubt(self.price)[0]

    @property
    def output_ubt(self) -> int:
        """Return what a token received costs."""
        return token_ubt(self.price)[1]

    @property
    def context(self) -> str:
        """Return how many tokens fit in a request and its answer: 128K, 1M; "" if not known."""
        return context_text(self.price.context_limit)

    def answers_to(self, wanted: str) -> bool:
        """Tell whether a word stands in the name, the maker or the endpoints."""
        told = f"{self.label} {self.vendor} {' '.join(self.tags)}"
        return wanted.casefold() in told.casefold()


def rows(shop: Tenant, *, rate: Rate | None) -> list[Row]:
    """Return everything a shop sells, the best known first, then by name."""
    prices = catalogue.current_prices(shop.pk)
    asked = {name: split_variant(name)[0] for name in prices}
    states = status.states(
        set(asked.values()), tenant_id=shop.pk, platform_id=tenants.platform().pk
    )
    speeds = status.speeds(shop.pk, since=DAY)
    width = fraction_width(prices.values())
    return [
        _row(
            prices[name], state=states[asked[name]], speed=speeds.get(name), rate=rate, width=width
        )
        for name in sorted(prices, key=_place)
    ]


def _place(name: str) -> tuple[int, str, str]:
    """Return what a row is sorted by; the sizes of a model stand behind it."""
    model, variant = split_variant(name)
    rank = BEST_KNOWN.index(model) if model in BEST_KNOWN else len(BEST_KNOWN)
    return rank, model, variant


def texts(prices: Mapping[str, Price]) -> dict[str, Price]:
    """Return the prices of the models that read and write text."""
    return {
        name: price
        for name, price in prices.items()
        if model_facts.kind_of(price) == model_facts.TEXT
    }


def fraction_width(prices: Iterable[Price]) -> int:
    """Return the digits behind the point of the longest price of tokens."""
    shown = (price.ubt[_PLACE[bucket]] for price in prices for bucket in _COLUMNS)
    return max((len(_split(ubt)[1]) for ubt in shown), default=0)


def cell(ubt: int, *, rate: Rate | None, width: int = 0, units: int = rates.MILLION) -> Cell:
    """Return a price as it stands in a column whose fractions have `width` digits."""
    whole, fraction = _split(ubt)
    missing = max(0, width - len(fraction))
    padding = ("0" * missing if fraction else "." + "0" * width) if missing else ""
    return Cell(whole, fraction, padding, rate.cost(ubt * units) if rate else "")


def call_ubt(price: Price, *, sent: int, received: int) -> int:
    """Return what a call of so many tokens costs, without tiers and cache."""
    input_ubt, output_ubt = token_ubt(price)
    return sent * input_ubt + received * output_ubt


def token_ubt(price: Price) -> tuple[int, int]:
    """Return what a token costs that is sent, and one that is received."""
    return price.ubt[_PLACE["input"]], price.ubt[_PLACE["output"]]


def context_text(tokens: int) -> str:
    """Return a number of tokens as it is said of a model: 128000 -> "128K"."""
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens // 1000}K" if tokens >= 1000 else str(tokens or "")


def _row(price: Price, *, state: State, speed: Speed | None, rate: Rate | None, width: int) -> Row:
    kind = model_facts.kind_of(price)
    endpoints = model_facts.endpoints_of(price.model, kind, state.endpoints)
    if state.is_usable and not endpoints:
        state = State(NO_ENDPOINT)
    ubt = {bucket: price.ubt[place] for bucket, place in _PLACE.items()}

    def column(bucket: str) -> Cell | None:
        is_own = ubt[bucket] and ubt[bucket] != ubt.get(PART_OF.get(bucket, ""))
        return cell(ubt[bucket], rate=rate, width=width) if is_own else None

    return Row(
        price=price,
        vendor=model_facts.vendor_of(price.model),
        kind=kind,
        tags=[model_facts.TAGS[name] for name in endpoints],
        state=state,
        speed=speed,
        input=column("input"),
        cached=column("cached_input"),
        output=column("output"),
        per_unit=unit_price(price, rate=rate),
    )


def unit_price(price: Price, *, rate: Rate | None) -> UnitPrice | None:
    """Return the price that leads where tokens have none."""
    ubt = {bucket: price.ubt[place] for bucket, place in _PLACE.items()}
    if ubt["input"] or ubt["output"]:
        return None
    if ubt["character"]:
        thousand = ubt["character"] * _PER_THOUSAND
        return UnitPrice(cell(thousand, rate=rate, units=1), _("1,000 characters"))
    names = {"image": _("image"), "second": _("second"), "request": _("call")}
    names["search"] = _("search")
    found = next((bucket for bucket in names if ubt[bucket]), None)
    return UnitPrice(cell(ubt[found], rate=rate, units=1), names[found]) if found else None


def _split(ubt: int) -> tuple[str, str]:
    whole, fraction = divmod(ubt, 1_000_000)
    return f"{whole:,}", f"{fraction:06d}".rstrip("0")
