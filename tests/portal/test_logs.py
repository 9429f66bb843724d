"""Logs: one JSON object a line, and no key in any of them."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog

from billing.keys import mint
from portal import logs

LINE = "seen {} in a header"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the logger `tests.logs` and those below it write, formatted as the settings say."""
    configuration = logging.config.DictConfigurator(logs.configuration(level="INFO"))
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        configuration.configure_formatter(configuration.config["formatters"]["json"])
    )
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def last_line(written: io.StringIO) -> dict[str, object]:
    """Return the last line that was written."""
    line: dict[str, object] = json.loads(written.getvalue().splitlines()[-1])
    return line


def test_an_event_is_a_json_object(written: io.StringIO) -> None:
    structlog.get_logger("tests.logs").warning("hold made", amount_ubt=5)
    line = last_line(written)
    assert (line["event"], line["amount_ubt"], line["level"]) == ("hold made", 5, "warning")


def test_a_library_logs_the_same_way(written: io.StringIO) -> None:
    logging.getLogger("tests.logs.library").warning("%s is away", "upstream")
    line = last_line(written)
    assert (line["event"], line["logger"]) == ("upstream is away", "tests.logs.library")


def test_a_line_break_stays_inside_its_line(written: io.StringIO) -> None:
    logging.getLogger("tests.logs").warning('a\n{"level": "info"}')
    assert last_line(written)["event"] == 'a\n{"level": "info"}'


def test_lines_of_a_request_name_it(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        logging.getLogger("tests.logs").warning("during")
    assert last_line(written)["request_id"] == "r-1"


@pytest.mark.parametrize(
    "secret",
    [
        mint().plaintext,
        mint("sk-").plaintext,
        mint().plaintext.removeprefix("ak-"),
        "sk-proj-abcDEF0123456789abcDEF0123456789",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "Bearer abcdefghijklmnop0123456789",
    ],
    ids=["ours", "ours as sk", "ours bare", "openai", "google", "bearer"],
)
def test_what_looks_like_a_key_is_cut(written: io.StringIO, secret: str) -> None:
    logging.getLogger("tests.logs").warning(LINE.format(secret))
    event = str(last_line(written)["event"])
    assert secret[12:] not in event
    assert "***" in event


def test_a_traceback_shows_no_local_variables(written: io.StringIO) -> None:
    chat = "the words of a chat"
    try:
        raise ValueError("short")
    except ValueError:
        logging.getLogger("tests.logs").exception("failed")
    line = last_line(written)
    assert line["exception"]
    assert chat not in json.dumps(line)


def test_addresses_are_not_listed() -> None:
    listed = logs.configuration(level="INFO")["loggers"]["uvicorn.access"]
    assert listed == {"handlers": [], "propagate": False}
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("name", ["uvicorn.error", "websockets"])
def test_nobody_writes_down_what_is_said_over_a_websocket(name: str) -> None:
    listed = logs.configuration(level="DEBUG")["loggers"]
    assert listed[name]["level"] in {"INFO", "WARNING"}


def test_a_link_that_signs_in_is_no_longer_one(written: io.StringIO) -> None:
    proof = "d0abc1-5f0c7d1e9b3a4c8d5f0c7d1e9b3a4c8d"
    logging.getLogger("tests.logs").warning("Forbidden: /account/sign-in/12/%s/", proof)
    assert last_line(written)["event"] == "Forbidden: /account/sign-in/12/***/"


def test_the_secret_link_of_an_order_is_no_longer_one(written: io.StringIO) -> None:
    token = "ab-DvsIsBbN_n0UXo98tLWrVNVk"
    for secret in (token, token.replace("-", "x")):
        logging.getLogger("tests.logs").warning("Forbidden: /orders/NO-2605-7F3K9Q/%s/pay/", secret)
        line = str(last_line(written)["event"])
        assert line.startswith("Forbidden: /orders/NO-2605-7F3K9Q/")
        assert secret[6:] not in line
