"""One load on one contender: run a generator, read processor time before and after.

Every function returns figures by name (times in us, memory in bytes); the runner takes medians.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, tools
from benchmarks.contenders import Contender
from benchmarks.installation import MODEL

Figures = dict[str, float]

STREAM_COUNT, STREAM_CHUNKS = 200, 200
OPEN_STREAM_COUNT = 1_000
_FIRST_STREAM_COUNT = 20
_FIRST_USES_PER_SECOND = 1_000
_REQUEST_BYTES = 1_024
_CHUNK_GAP_US = 20_000
_OPEN_CHUNKS, _OPEN_GAP_US = 20, 500_000
_OPEN_LOOK_S = 6.0
_STREAM_PATIENCE_S = 60


@dataclass(frozen=True)
class Bodies:
    """Files with the request bodies of the three kinds of load."""

    chat: Path
    stream: Path
    open_stream: Path


def write_bodies(folder: Path) -> Bodies:
    """Write chat requests of 1 KB: one plain, one for a stream, one for a slow stream."""
    return Bodies(
        chat=_body(folder / "chat.json"),
        stream=_body(
            folder / "stream.json", stream=True, n_chunks=STREAM_CHUNKS, delay_us=_CHUNK_GAP_US
        ),
        open_stream=_body(
            folder / "open.json", stream=True, n_chunks=_OPEN_CHUNKS, delay_us=_OPEN_GAP_US
        ),
    )


def closed_loop(contender: Contender, bodies: Bodies, *, connections: int, seconds: int) -> Figures:
    """Keep `connections` requests in flight with wrk."""
    wrk = tools.program("wrk", needed_for="closed loop")
    argv = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    files = {"BODY_FILE": str(bodies.chat), "KEYS_FILE": str(contender.keys)}
    argv += ["-s", str(tools.CLOSED_LOOP), f"http://127.0.0.1:{contender.port}"]
    result, spent = _metered(contender, lambda: _generated(argv, files))
    _count(contender, served=result["requests"] - result["failed"], cut=connections)
    return {
        "relay_us": spent["relay_us"] / result["requests"],
        "database_us": spent["database_us"] / result["requests"],
        "per_second": result["requests"] / result["wall_us"] * 1e6,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
        "failed": result["failed"],
    }


def use_every_key(contender: Contender, bodies: Bodies, *, key_count: int) -> None:
    """Send one request with each key: what is measured afterwards is the traffic of known keys."""
    open_loop(contender, bodies, per_second=_FIRST_USES_PER_SECOND, seconds=key_count // 1_000 + 1)


def open_loop(contender: Contender, bodies: Bodies, *, per_second: int, seconds: int) -> Figures:
    """Send requests when they are due, `per_second` of them, whatever comes back."""
    generator = tools.built("rate", needed_for="open loop")
    argv = [generator, str(contender.port), str(per_second), str(seconds)]
    result, spent = _metered(
        contender, lambda: _generated([*argv, str(bodies.chat), str(contender.keys)])
    )
    _count(contender, served=result["done"], cut=result["sent"] - result["done"])
    return {
        "relay_us": spent["relay_us"] / max(result["done"], 1),
        "p50_us": result["latency_p50_us"],
        "p99_us": result["latency_p99_us"],
        "failed": result["failed"],
    }


def streams(contender: Contender, bodies: Bodies) -> Figures:
    """Read 200 streams of 200 chunks at once."""
    result, spent = _metered(
        contender, lambda: _generated(_stream_load(contender, bodies.stream, STREAM_COUNT))
    )
    _count(contender, served=result["finished"], cut=result["failed"])
    return {
        "relay_us": spent["relay_us"] / max(result["chunks"], 1),
        "first_p50_us": result["first_p50_us"],
        "first_p99_us": result["first_p99_us"],
        "lag_p50_us": result["lag_p50_us"],
        "lag_p99_us": result["lag_p99_us"],
        "failed": result["failed"],
    }


def open_streams(contender: Contender, bodies: Bodies) -> Figures:
    """Hold 1,000 streams open and say how much memory they take in the relay."""
    first = _generated(_stream_load(contender, bodies.stream, _FIRST_STREAM_COUNT))
    _count(contender, served=first["finished"], cut=first["failed"])
    before_bytes = contender.relay_memory_bytes()
    argv = _stream_load(contender, bodies.open_stream, OPEN_STREAM_COUNT)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as generator:
        time.sleep(_OPEN_LOOK_S)
        during_bytes = contender.relay_memory_bytes()
        result = json.loads(generator.communicate()[0])
    _count(contender, served=result["finished"], cut=result["failed"])
    return {
        "base_bytes": before_bytes,
        "added_bytes": during_bytes - before_bytes,
        "failed": result["failed"],
    }


def _metered(
    contender: Contender, load: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], Figures]:
    relay_ns, database_ns = contender.relay_cpu_ns(), contender.database_cpu_ns()
    result = load()
    return result, {
        "relay_us": (contender.relay_cpu_ns() - relay_ns) / 1e3,
        "database_us": (contender.database_cpu_ns() - database_ns) / 1e3,
    }


def _generated(argv: list[str], files: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a generator beside the upstream and return the JSON object of its last line."""
    done = subprocess.run(
        machine.on_core(machine.OTHER_CORE, *argv),
        env={**os.environ, **(files or {})},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    return result


def _stream_load(contender: Contender, body: Path, count: int) -> list[str]:
    generator = tools.built("streams", needed_for="streams")
    numbers = (str(contender.port), str(count), str(_STREAM_PATIENCE_S))
    return [generator, *numbers, str(body), str(contender.keys)]


def _count(contender: Contender, *, served: int, cut: int) -> None:
    if contender.installation:
        contender.installation.served += served
        contender.installation.cut += cut


def _body(path: Path, **fields: object) -> Path:
    def encoded(text: str) -> str:
        messages = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": text},
        ]
        asked = {"model": MODEL, "messages": messages, "temperature": 0.7, "max_tokens": 256}
        return json.dumps(asked | fields, separators=(",", ":"))

    sentence = "The quick brown fox jumps over the lazy dog. "
    room = _REQUEST_BYTES - len(encoded(""))
    path.write_text(encoded((sentence * _REQUEST_BYTES)[:room]))
    return path
