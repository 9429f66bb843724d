"""Arrays packed by hand are what PostgreSQL's own output is."""

import psycopg
import pytest
from psycopg.pq import ExecStatus

from billing.ids import uuid7_bytes
from billing.ledger import packing
from tests.databases import Database


def shown(database: Database, packed: bytes, oid: int) -> str:
    """Send a parameter in binary and return how the server reads it."""
    with psycopg.connect(database.url) as connection:
        result = connection.pgconn.exec_params(
            b"SELECT array_to_json($1)::text", [packed], [oid], [1], 0
        )
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        value = result.get_value(0, 0)
        return "" if value is None else value.decode()


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], "[]"), ([7], "[7]"), ([1, -2, 2**63 - 1], "[1,-2,9223372036854775807]")],
)
def test_numbers_arrive_as_they_are(
    postgres_database: Database, numbers: list[int], text: str
) -> None:
    assert shown(postgres_database, packing.pack_int8s(numbers), packing.INT8_ARRAY) == text


def test_rows_of_numbers_arrive_as_they_are(postgres_database: Database) -> None:
    packed = packing.pack_int8_rows([(1, 2, 3), (4, 5, 6)])
    assert shown(postgres_database, packed, packing.INT8_ARRAY) == "[[1,2,3],[4,5,6]]"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "[]"),
        (["a", "a"], '["a","a"]'),
        (["", "模型", "it's"], '["","模型","it\'s"]'),
    ],
)
def test_words_arrive_as_they_are(postgres_database: Database, words: list[str], text: str) -> None:
    assert shown(postgres_database, packing.pack_texts(words), packing.TEXT_ARRAY) == text


def test_ids_arrive_as_they_are(postgres_database: Database) -> None:
    ids = [uuid7_bytes(), uuid7_bytes()]
    text = shown(postgres_database, packing.pack_uuids(ids), packing.UUID_ARRAY)
    assert [part.replace("-", "") for part in text.strip('[]"').split('","')] == [
        request_id.hex() for request_id in ids
    ]


def test_what_was_packed_is_unpacked() -> None:
    numbers = (0, 1, -1, 2**62, -(2**62))
    assert packing.int8_reader(5)(packing.pack_int8s(numbers)) == numbers
