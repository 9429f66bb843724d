"""What clients speak: one dialect a file. Pure functions over bytes, free of Django and of I/O.

`openai.py` is the face of the OpenAI dialect; its parts are `openai_request.py` (what a request
asks for), `openai_splice.py` (the few bytes we change in it), `openai_answer.py` (what an answer
says), `openai_stream.py` (the same for events) and `openai_usage.py` (usage as disjoint buckets).
`json_text.py` knows raw JSON and no dialect.
"""
