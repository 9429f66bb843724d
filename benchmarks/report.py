"""Figures as Markdown tables. Medians over rounds; called by the runner."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.loads import Figures

Rounds = Mapping[str, Sequence[Figures]]
"""Figures of each round, by the name of the contender."""

FLOOR, DIRECT = "nginx proxy_pass", "no relay"
README = Path(__file__).resolve().parent / "README.md"
_BLOCK = re.compile(r"(<!-- measured -->\n).*(<!-- end -->)", re.DOTALL)


def closed_loop(title: str, rounds: Rounds) -> str:
    """Processor time per request, throughput and latency at full load."""
    head = ["", "relay CPU µs/request", "× nginx", "database CPU µs/request", "requests/s"]
    head += ["requests/s per relay core", "p50 ms", "p99 ms", "failed"]
    floor_us = _floor_us(rounds)
    rows = []
    for name in rounds:
        relay_us = _median(rounds, name, "relay_us")
        rows.append(
            [
                name,
                f"{relay_us:.1f}",
                _ratio(relay_us, floor_us),
                f"{_median(rounds, name, 'database_us'):.1f}",
                f"{_median(rounds, name, 'per_second'):,.0f}",
                f"{1e6 / relay_us:,.0f}",
                _ms(_median(rounds, name, "p50_us")),
                _ms(_median(rounds, name, "p99_us")),
                _failed(rounds, name),
            ]
        )
    return _table(title, head, rows)


def open_loop(title: str, rounds: Rounds) -> str:
    """Latency at a fixed rate, and what each relay adds to the direct way."""
    head = [
        "",
        "p50 ms",
        "p99 ms",
        "added p50 ms",
        "added p99 ms",
        "relay CPU µs/request",
        "failed",
    ]
    direct = {q: _median(rounds, DIRECT, q) for q in ("p50_us", "p99_us")}
    rows = []
    for name in rounds:
        p50_us, p99_us = _median(rounds, name, "p50_us"), _median(rounds, name, "p99_us")
        rows.append(
            [
                name,
                _ms(p50_us),
                _ms(p99_us),
                _ms(p50_us - direct["p50_us"]),
                _ms(p99_us - direct["p99_us"]),
                f"{_median(rounds, name, 'relay_us'):.0f}",
                _failed(rounds, name),
            ]
        )
    return _table(title, head, rows)


def streams(title: str, rounds: Rounds) -> str:
    """Processor time per chunk, time to the first chunk, and how late chunks arrive."""
    head = ["", "relay CPU µs/chunk", "× nginx", "first chunk p50 ms", "p99 ms"]
    head += ["chunk lag p50 ms", "p99 ms", "failed"]
    floor_us = _floor_us(rounds)
    times = ("first_p50_us", "first_p99_us", "lag_p50_us", "lag_p99_us")
    rows = []
    for name in rounds:
        relay_us = _median(rounds, name, "relay_us")
        rows.append(
            [
                name,
                f"{relay_us:.1f}",
                _ratio(relay_us, floor_us),
                *(_ms(_median(rounds, name, field)) for field in times),
                _failed(rounds, name),
            ]
        )
    return _table(title, head, rows)


def memory(title: str, rounds: Rounds) -> str:
    """Memory of the relay without and with open streams."""
    rows = [
        [
            name,
            f"{_median(rounds, name, 'base_bytes') / 1e6:.0f}",
            f"{_median(rounds, name, 'added_bytes') / 1e6:.1f}",
            _failed(rounds, name),
        ]
        for name in rounds
    ]
    return _table(title, ["", "before MB", "added MB", "failed"], rows)


def publish(text: str) -> None:
    """Put the tables into README.md, between its two marks."""
    readme = README.read_text()
    README.write_text(_BLOCK.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", readme))


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"**{title}**", "", _line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
    return "\n".join(lines + [_line(row) for row in rows]) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _median(rounds: Rounds, name: str, field: str) -> float:
    return median(figures[field] for figures in rounds[name])


def _floor_us(rounds: Rounds) -> float | None:
    return _median(rounds, FLOOR, "relay_us") if FLOOR in rounds else None


def _ratio(value: float, floor: float | None) -> str:
    return f"{value / floor:.1f}" if floor else "–"


def _failed(rounds: Rounds, name: str) -> str:
    return f"{sum(figures['failed'] for figures in rounds[name]):.0f}"


def _ms(value_us: float) -> str:
    return f"{value_us / 1e3:.2f}"
