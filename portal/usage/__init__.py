"""The usage page behind its views: who is looking, and everything that the page shows.

`visit` is the short session that a key opens. `page` brings the parts together for one `period`:
`calls` with their bills, `charts` as tables that a script draws, `history` of what was credited,
`words` for all of it. `export` writes the same calls as files. Called by `portal.views.usage*`.
"""
