"""`python -m benchmarks`, which is what `python3 dev.py bench` becomes."""

import sys

from benchmarks.run import main

if __name__ == "__main__":
    sys.exit(main())
