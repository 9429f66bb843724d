"""The measurement: build, start everybody, take turns, check the books, print tables.

One run compares nginx `proxy_pass`, Tollgate on SQLite and Tollgate on PostgreSQL. They take
turns within each round, so that whatever else the machine does falls on all of them alike;
figures of different runs do not compare.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import contenders, loads, machine, postgres, report, tools
from benchmarks.contenders import Contender
from benchmarks.installation import Installation
from benchmarks.loads import Bodies, Figures

IN_FLIGHT = (32, 256)
RATES = (200, 1_000)
RESULTS = Path(__file__).resolve().parent / "results"
SUITES = ("memory", "closed", "open", "streams")
"""In the order in which they run: what memory streams take shows best in a young process."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for. Returns an exit status."""
    options = _arguments().parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="tollgate-bench-"))
    folder.chmod(0o755)  # nginx drops its rights before it looks into it
    try:
        with ExitStack() as stack:
            text = _measure(stack, folder, options)
    except tools.Missing as missing:
        print(f"skipped: {missing}")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.md").write_text(text)
    if options.publish:
        report.publish(text)
    print(text)
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--seconds", type=int, default=3, help="length of one turn")
    parser.add_argument("--wallets", type=int, default=10_000, help="wallets, each with one key")
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, help="suites to run")
    parser.add_argument(
        "--contenders", nargs="+", choices=("nginx", "sqlite", "postgres"), help="default: all"
    )
    parser.add_argument("--publish", action="store_true", help="put the tables into README.md")
    return parser


def _measure(stack: ExitStack, folder: Path, options: argparse.Namespace) -> str:
    load_before = machine.load_average()
    upstream_port = stack.enter_context(contenders.upstream(folder))
    fleet = _start(stack, folder, options, upstream_port=upstream_port)
    direct = Contender(report.DIRECT, upstream_port, fleet[0].keys)
    bodies = loads.write_bodies(folder)
    _warm_up(fleet, bodies, options)
    tables = []
    for suite in options.only:
        try:
            tables += _SUITES[suite](fleet, direct, bodies, options)
        except tools.Missing as missing:
            _say(f"skipped: {missing}")
    books = [
        f"Books of {contender.name}: {contender.installation.check_books()}."
        for contender in fleet
        if contender.installation
    ]
    about = machine.description(load_before)
    return "\n".join([*about, *books, "", *tables])


def _warm_up(fleet: list[Contender], bodies: Bodies, options: argparse.Namespace) -> None:
    for contender in fleet:
        if contender.installation:
            _say(f"first use of every key: {contender.name}")
            try:
                loads.use_every_key(contender, bodies, key_count=options.wallets)
            except tools.Missing as missing:
                _say(f"skipped: {missing}")


def _start(
    stack: ExitStack, folder: Path, options: argparse.Namespace, *, upstream_port: int
) -> list[Contender]:
    wanted = options.contenders or ("nginx", "sqlite", "postgres")
    fleet = []
    for word in wanted:
        _say(f"set-up: {word}")
        try:
            fleet.append(
                _STARTERS[word](stack, folder / word, options.wallets, upstream_port=upstream_port)
            )
        except tools.Missing as missing:
            _say(f"skipped: {missing}")
    if not fleet:
        raise tools.Missing("there is nothing to measure")
    return fleet


def _start_nginx(
    stack: ExitStack, folder: Path, wallet_count: int, *, upstream_port: int
) -> Contender:
    keys = folder.parent / "nginx-keys.txt"
    keys.write_text("\n".join(f"ak-{number:048d}" for number in range(wallet_count)) + "\n")
    return stack.enter_context(contenders.nginx(folder, upstream_port=upstream_port, keys=keys))


def _start_sqlite(
    stack: ExitStack, folder: Path, wallet_count: int, *, upstream_port: int
) -> Contender:
    installation = Installation(folder, f"sqlite:///{folder / 'tollgate.sqlite3'}")
    installation.build(wallet_count=wallet_count, upstream_port=upstream_port)
    return stack.enter_context(contenders.tollgate("Tollgate, SQLite FULL", installation))


def _start_postgres(
    stack: ExitStack, folder: Path, wallet_count: int, *, upstream_port: int
) -> Contender:
    server = stack.enter_context(postgres.server())
    installation = Installation(folder, server.url)
    installation.build(wallet_count=wallet_count, upstream_port=upstream_port)
    return stack.enter_context(
        contenders.tollgate(f"Tollgate, PostgreSQL {server.version}", installation, database=server)
    )


def _closed(
    fleet: list[Contender], direct: Contender, bodies: Bodies, options: argparse.Namespace
) -> list[str]:
    tables = []
    for connections in IN_FLIGHT:

        def turn(contender: Contender, seconds: int, connections: int = connections) -> Figures:
            return loads.closed_loop(contender, bodies, connections=connections, seconds=seconds)

        rounds = _take_turns(f"{connections} in flight", fleet, turn, options)
        title = f"{connections} requests in flight, 1 KB chat, {options.wallets:,} wallets"
        tables.append(report.closed_loop(title, rounds))
    return tables


def _open(
    fleet: list[Contender], direct: Contender, bodies: Bodies, options: argparse.Namespace
) -> list[str]:
    tables = []
    for per_second in RATES:

        def turn(contender: Contender, seconds: int, per_second: int = per_second) -> Figures:
            return loads.open_loop(contender, bodies, per_second=per_second, seconds=seconds)

        rounds = _take_turns(f"{per_second}/s", [direct, *fleet], turn, options)
        tables.append(report.open_loop(f"{per_second:,} requests/s, open loop", rounds))
    return tables


def _streams(
    fleet: list[Contender], direct: Contender, bodies: Bodies, options: argparse.Namespace
) -> list[str]:
    def turn(contender: Contender, seconds: int) -> Figures:
        return loads.streams(contender, bodies)

    rounds = _take_turns("streams", [direct, *fleet], turn, options, warm_up=False)
    title = f"{loads.STREAM_COUNT} streams of {loads.STREAM_CHUNKS} chunks"
    return [report.streams(title, rounds)]


def _memory(
    fleet: list[Contender], direct: Contender, bodies: Bodies, options: argparse.Namespace
) -> list[str]:
    rounds = {}
    for contender in fleet:
        _say(f"memory: {contender.name}")
        rounds[contender.name] = [loads.open_streams(contender, bodies)]
    return [report.memory(f"{loads.OPEN_STREAM_COUNT:,} open streams", rounds)]


def _take_turns(
    what: str,
    fleet: list[Contender],
    turn: Callable[[Contender, int], Figures],
    options: argparse.Namespace,
    *,
    warm_up: bool = True,
) -> dict[str, list[Figures]]:
    """Let everybody take one turn per round, after a short one that is not counted."""
    if warm_up:
        for contender in fleet:
            turn(contender, 1)
    rounds: dict[str, list[Figures]] = {contender.name: [] for contender in fleet}
    for number in range(options.rounds):
        _say(f"{what}: round {number + 1} of {options.rounds}")
        for contender in fleet:
            rounds[contender.name].append(turn(contender, options.seconds))
    return rounds


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_STARTERS = {"nginx": _start_nginx, "sqlite": _start_sqlite, "postgres": _start_postgres}
_SUITES = {"closed": _closed, "open": _open, "streams": _streams, "memory": _memory}
