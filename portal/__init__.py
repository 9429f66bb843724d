"""The control plane: pages, admin, background jobs, and the composition root.

`settings`, `urls`, `asgi` and `celery` put the three packages together; everything else here uses
`billing`, and of the relay only its models, probes and status.
"""
