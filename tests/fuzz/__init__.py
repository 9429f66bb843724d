"""What upstreams and clients may send, at random: properties that hold for any bytes.

`targets.py` has the properties, `wire.py` what feeds a connection. `test_targets.py` runs them over
seeds and thousands of fixed mutations in every test run; `python3 dev.py fuzz` gives them to
atheris (`engine.py`), which looks for what nobody has thought of.
"""
