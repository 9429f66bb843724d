"""The data plane: carries a client's request to an upstream and charges exactly what came back.

The path of a request, and the modules in which it can be read:

1. `asgi` gets it from the server; `paths` finds the route, `call` wraps it. Look-ups that we answer
   ourselves end in `local`.
2. `exchange.serve` tells the rest from top to bottom. `auth` finds the key (`keyring`) and the
   tenant of the Host (`snapshot`, a copy of prices and channels that follows the database within a
   second), `protocols` reads the few facts that matter from the body, `limits` lets it in.
3. `admission` bounds what it may cost and holds that much. The hold goes through `ledger_batch`,
   the one bridge from the event loop to the ledger; it is the only commit a client waits for.
4. `forwarding` tries one channel after another (`routing`, `health`) until there is an answer worth
   delivering; `providers` know what each kind of upstream wants and means, `upstream` and `wire`
   speak HTTP to it. Until here nothing has reached the client.
5. The answer passes as the bytes it is. `streaming` counts a stream as it goes (`sse`, `tokens`),
   grows its hold, and stores checkpoints when `watch` says so.
6. Whatever happens after the hold, `exchange` settles exactly once; `errors` is all that a client
   can be told.

Async only. Of Django it uses the ORM, in the one thread of `reader`. `services` is what outlives a
request; `status` and `probes` are what the portal may look at.
"""
