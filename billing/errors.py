"""Everything that billing refuses, as one tree. Free of Django; caught at the edges by all.

BillingError
├── ScopeMissing            a tenant's table was touched with no tenant open
├── TenantMismatch          a row of another tenant was about to be written
├── AmountInexact           an amount that is no whole number of micro base tokens
├── PriceInvalid            a price file or price row that can't be published
│   └── UnknownBucket       it names a bucket that does not exist
├── NameTaken               a slug, hostname or channel name is in use
├── NotFound                no such tenant, key or channel
├── FieldInvalid            a value that can't be stored as it was given
│   └── OrderInvalid        an order that can't be placed; names the field and a code
├── StateInvalid            a step that the state of an order, payment or key does not allow
├── LimitReached            asked for too often
├── PaymentAway             the payment provider did not answer as agreed; nothing was booked
├── SealBroken              a sealed secret was changed, moved or its key is gone
├── TransferConflict        the same source was booked before with other input
├── InsufficientBalance     a debit of more than is available
└── LedgerAway              the database did not answer; nothing was booked
"""


class BillingError(Exception):
    """Root of all refusals of billing; its text is one sentence that may be shown to staff."""


class ScopeMissing(BillingError):
    """A tenant's table was touched outside `tenant_scope` and `all_tenants`."""


class TenantMismatch(BillingError):
    """A row of another tenant than the open one was about to be written."""


class AmountInexact(BillingError):
    """An amount of base tokens is not a whole number of micro base tokens."""


class PriceInvalid(BillingError):
    """A price can't be published as it is given."""


class UnknownBucket(PriceInvalid):
    """A price names a bucket that does not exist."""


class NameTaken(BillingError):
    """A name that must be unique is in use already."""


class NotFound(BillingError):
    """What was named does not exist."""


class FieldInvalid(BillingError):
    """A value can't be stored as it was given."""


class OrderInvalid(FieldInvalid):
    """An order can't be placed. `field` says what is wrong with it, `code` why; pages have words.

    Fields: email, quantity, product, key, wallet, coupon, code, agreement, checkout.
    """

    def __init__(self, field: str, code: str) -> None:
        super().__init__(f"The {field} of this order is refused: {code}.")
        self.field, self.code = field, code


class StateInvalid(BillingError):
    """A step that the present state does not allow."""


class LimitReached(BillingError):
    """Something was asked for more often than it may be."""


class PaymentAway(BillingError):
    """A payment provider could not be reached or did not answer as agreed; nothing was booked."""


class CallbackRefused(BillingError):
    """A callback that no provider of this account can have sent; the message is for logs alone."""


class SealBroken(BillingError):
    """A sealed secret can't be opened: it was changed, moved, or its key is gone."""


class TransferConflict(BillingError):
    """The same source was booked before, with other input."""


class InsufficientBalance(BillingError):
    """A debit asks for more than the wallet has available."""


class LedgerAway(BillingError):
    """The database did not answer in time; nothing was booked."""
