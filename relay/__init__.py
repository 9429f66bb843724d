"""The data plane: what a client program talks to. Raw ASGI, async only, no pages.

The path of a request, and where each step is told:

1. `asgi` finds what answers (`paths`) and makes a `call`: headers, body, answer, and whether the
   client is still there (`watch`). Whatever fails on the way is an error of `errors`, and becomes
   an answer at this edge.
2. `exchange` tells the rest from top to bottom. `auth` knows the key (`keyring`) and the tenant of
   the Host (`snapshot`); the endpoint's dialect (`protocols`) reads model, stream and limits from
   the body without rebuilding it (`bodies` bounds the memory of all of them); `limits` counts
   requests, tokens and concurrency against the `ceilings` of key and wallet.
3. `admission` bounds what the request can cost and holds it. `booking` words holds, checkpoints and
   settles, `ledger_batch` carries those of all requests to the ledger, one batch a transaction;
   `committer` is the thread that commits them. No ledger, no upstream call.
4. `forwarding` sends the body to one channel after another (`routing`, `health`) through
   `providers` and `upstream` until an answer is worth delivering; after that it is the only one.
   `asking` makes what is sent; a channel of another dialect is asked through `translate`.
5. A whole answer is sent as it came. `streaming` passes events on untouched, counts, has the hold
   grow, and ends a stream fairly when it breaks, when the credit is used up, when the client goes.
   `piping` passes on bytes that nobody looks into. `pulse` fills a silence, if it is told to.
6. The exchange is settled after the last byte, exactly once, by the upstream's usage or by our own
   count (`tokens`); nothing delivered, nothing charged.

A conversation over a WebSocket (`realtime`) goes the same way, but has no end that anybody knows:
`realtime_upstream` opens the other side, `realtime_meter` says what must be held before the next
event may pass.

What an upstream keeps (responses, videos, tasks) belongs to a wallet: `keeping` notes it as it is
made, `objects` remembers and finds it (`object_rows`), `objects_api` answers for it, asking where
it was made (`object_requests`, `passing`). `generic_calls` serves what operators have put below a
prefix. `jobs` asks for videos and tasks until they have ended (`job_polls`, `tasks`) and gives back
what failed.

`local` answers what we answer ourselves: models, billing look-ups, health. `services` are the parts
that outlive a request, `loading` reads them through the ORM in the `reader` thread, `options` says
what the environment has set. `status`, `probes`, `channels` and `generic_routes` are for the portal
and for commands.
"""
