"""Who owes what: tenants, keys, wallets, the ledger, prices, usage, orders. No HTTP, no pages.

The contract with the other packages, in the order in which a request meets it:

- `keys` and `tenants` are the two look-ups that happen before a tenant is known.
- `scoping` opens a tenant; without an open scope no table of a tenant can be read or written.
- `catalogue` publishes prices, `pricing` multiplies them with counts. Integers only.
- `ledger` is the only writer of balances.
- `reports` answers what is left and what was used.
- `orders` sells keys and credit; `payments` are the ways to pay, `outbox` the mails that wait.
- `guards` says what the database itself refuses, whoever asks.

Amounts are integers of micro base tokens (`_ubt`); `units` turns them into what people read.
"""
