"""The JSON API: what the usage page shows, for scripts, authenticated by the key itself.

`views` answer, `authentication` finds the key, `problems` says every failure in one form, `cursors`
let a script read on, `reference` describes all of it. Numbers come from `billing.reports` alone, so
that page, API and the relay's look-ups can't differ.
"""
