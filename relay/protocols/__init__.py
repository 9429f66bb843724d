"""What clients speak: one dialect a file. Pure functions over bytes, free of Django and of I/O.

`base.py` says what a dialect has to tell, `endpoints.py` lists them all. A dialect's face (such as
`openai.py`, `anthropic.py`, `gemini.py`) is what others import; its parts are named after it:
`_request` (what a request asks for) and `_content` (what stands inside its messages), `_splice`
(the few bytes we change in it), `_answer` (what an answer says, whole or in events), `_usage` (its
usage as disjoint buckets), `_errors`. `json_text.py`, `decoding.py`, `splicing.py` and
`multipart.py` know no dialect.
"""
