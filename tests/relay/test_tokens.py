"""Counts are tiktoken's own, however a text arrives, and never need a network."""

import asyncio
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken

from relay import tokens
from relay.tokens import TokenMeter, count, count_prompt

ENGLISH = "The quick brown fox jumps over the lazy dog while 42 compilers warn, and nobody cares. "
CHINESE = "大部分情况下，你都可以用一个汉字等于两个令牌来估算。她说：“价格已经调整为与官网一致。”\n"
CODE = Path(tokens.__file__).read_text()
CALL = '{"query":"北京天气","days":[1,2,3],"unit":"celsius"}'
TEXTS = {"en": ENGLISH * 60, "zh": CHINESE * 60, "code": CODE, "tool call": CALL * 60}
NOTICE = Path(tokens.__file__).parent / "data" / "NOTICE"


@pytest.fixture(scope="module", autouse=True)
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIKTOKEN_CACHE_DIR", "")
        tokens.install_ranks(folder)
        yield folder


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def metered(text: str, *, size: int, count_every: int) -> int:
    meter = TokenMeter("gpt-4o")
    for index, piece in enumerate(pieces(text, size)):
        meter.add(piece)
        if meter.has_block or (count_every and index % count_every == 0):
            await meter.count_pending()
    return await meter.count_pending()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("size", "count_every"), [(1, 0), (1, 97), (5, 11), (80, 0), (80, 1)])
async def test_blocks_count_what_the_whole_text_counts(
    name: str, size: int, count_every: int
) -> None:
    whole = count(TEXTS[name], "gpt-4o")
    assert abs(await metered(TEXTS[name], size=size, count_every=count_every) - whole) <= (
        whole / 100
    )


def test_english_counts_in_blocks_are_exact() -> None:
    text = ENGLISH * 60
    assert asyncio.run(metered(text, size=7, count_every=13)) == count(text, "gpt-4o")


async def test_the_bound_is_never_below_the_count() -> None:
    meter, dice = TokenMeter("gpt-4o"), random.Random(7)
    for piece in pieces(CHINESE * 20, 9):
        meter.add(piece)
        assert meter.bound >= meter.counted
        if dice.random() < 0.1:
            await meter.count_pending()
    assert meter.bound >= await meter.count_pending() == meter.bound


async def test_what_arrives_during_a_count_stays_pending() -> None:
    meter = TokenMeter("gpt-4o")
    meter.add("one two three")
    counting = asyncio.create_task(meter.count_pending())
    await asyncio.sleep(0)
    meter.add(" four")
    await counting
    assert meter.bound == 3 + len(" four")
    assert await meter.count_pending() == 4


async def test_a_cancelled_count_loses_nothing() -> None:
    meter = TokenMeter("gpt-4o")
    meter.add("one two three")
    counting = asyncio.create_task(meter.count_pending())
    await asyncio.sleep(0)
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    assert await meter.count_pending() == 3


async def test_counts_at_the_same_time_count_once() -> None:
    meter = TokenMeter("gpt-4o")
    meter.add("one two three")
    assert set(await asyncio.gather(meter.count_pending(), meter.count_pending())) == {3}


def test_bytes_bound_tokens_for_every_text() -> None:
    assert all(count(text, "gpt-4") <= len(text.encode()) for text in TEXTS.values())


@pytest.mark.parametrize("letter", ["a", "啊", " ", "\n", "!"])
def test_a_monotonous_text_is_counted_quickly(letter: str) -> None:
    assert 0 < count(letter * 120_000, "gpt-4o") <= 120_000 * len(letter.encode())


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-32k", "cl100k_base"),
        ("gpt-4-1106-preview", "cl100k_base"),
        ("gpt-3.5-turbo-0613", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("openai/gpt-oss-120b", "o200k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("nobody-knows", "o200k_base"),
    ],
)
def test_each_model_has_its_tokenizer(model: str, encoding: str) -> None:
    assert tokens.encoding_name(model) == encoding


def test_special_tokens_in_a_text_are_plain_text() -> None:
    assert count("<|endoftext|>", "gpt-4o") > 1


def test_a_prompt_counts_its_messages_and_token_ids() -> None:
    assert count_prompt(["user", "hello world"], "gpt-4o", messages=1) == 1 + 2 + 3 + 3
    assert count_prompt([], "text-embedding-ada-002", token_ids=5) == 5


def test_a_bound_for_an_unknown_tokenizer_is_three_tenths_higher_rounded_up() -> None:
    assert count_prompt(["hello world"], "claude-x", is_bound=True) == 3
    assert count_prompt(["hello world"], "claude-x") == 2
    assert count_prompt(["hello world"], "gpt-4o", is_bound=True) == 2


def test_rank_files_are_what_the_notice_says() -> None:
    notice = NOTICE.read_text()
    for file in NOTICE.parent.glob("*.xz"):
        assert f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" in notice


def test_a_damaged_rank_file_is_replaced_before_tiktoken_sees_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    tokens.install_ranks(tmp_path)
    damaged = tmp_path / "tiktoken" / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    damaged.write_bytes(b"damaged")
    assert count("hello world", "gpt-4") == 2
    assert damaged.stat().st_size > 1_000_000


def test_without_a_folder_for_rank_files_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    with pytest.raises(tokens.RanksMissing):
        count("hello", "gpt-4")
