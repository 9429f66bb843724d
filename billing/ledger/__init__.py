"""The only writers of balances. How it works and which rules it keeps: docs/concepts/ledger.md.

Requests:  ops -> isolate.commit(engine, batch) -> engine_sqlite | engine_postgres -> decide
           (the relay batches; `direct` does one operation at a time)
Transfers: transfers (credit, debit, reverse), expiry, caps
Jobs:      reaper, expiry, reconcile
"""
