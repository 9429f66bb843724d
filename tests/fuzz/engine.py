"""One target under atheris: `python -m tests.fuzz.engine TARGET FOLDER SECONDS`.

A process of its own, because atheris never gives it back. What it finds worth keeping goes into
the folder; bytes that break a property are written there as `crash-...`.
"""

import sys
from pathlib import Path

import atheris

LONGEST_BYTES = 4_096

with atheris.instrument_imports(include=["relay.sse", "relay.wire", "relay.protocols"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Look for bytes that break a property, until the time is over."""
    name, folder, seconds = sys.argv[1:]
    target = TARGETS[name]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/",
        f"-max_len={LONGEST_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.check)
    atheris.Fuzz()


main()
