"""What a request costs, measured beside nginx in one interleaved run: `python3 dev.py bench`.

`run.py` tells the story; figures and how to read them are in README.md. Nothing in the product
imports from here.
"""
