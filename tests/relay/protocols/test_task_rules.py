"""The rule of a route's jobs: what is a job, where it is read, how it has ended."""

import json
from typing import Any

import pytest

from relay.protocols.task_rules import TaskRule

RULE = TaskRule(
    task_field="data.task_id",
    poll_path="/task/{task}/fetch",
    state_field="data.status",
    done_values=("SUCCESS", "3"),
    failed_values=("failure", "true"),
)


def said(**data: Any) -> bytes:
    return json.dumps({"code": 1, "data": data}).encode()


@pytest.mark.parametrize(("value", "task"), [("abc", "abc"), (17, "17"), ("a b/c", "a b/c")])
def test_a_job_is_named_by_text_or_number(value: Any, task: str) -> None:
    assert RULE.task_of(said(task_id=value)) == task


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"data":1}', b'{"data":{}}', b"\xff", b"{" * 9999])
def test_what_names_no_job_names_none(body: bytes) -> None:
    assert (RULE.task_of(body), RULE.state_of(body)) == ("", None)


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, "x" * 129, "\n", "ü"])
def test_what_could_be_no_id_is_none(value: Any) -> None:
    assert RULE.task_of(said(task_id=value)) == ""


@pytest.mark.parametrize(
    ("status", "state"),
    [("success", "done"), (3, "done"), ("FAILURE", "failed"), (True, "failed"), (1, "running")],
)
def test_a_state_is_compared_as_text_in_any_case(status: Any, state: str) -> None:
    assert RULE.state_of(said(status=status)) == state


def test_an_item_of_a_list_can_be_meant() -> None:
    rule = TaskRule(task_field="data.1.id", poll_path="/{task}")
    assert rule.task_of(b'{"data":[{"id":"a"},{"id":"b"}]}') == "b"
    assert rule.task_of(b'{"data":[{"id":"a"}]}') == ""


@pytest.mark.parametrize("task", ["171", "a b/c", "a?b#c%d", "ü"])
def test_an_address_and_its_job_are_each_others(task: str) -> None:
    address = RULE.address_of(task)
    assert RULE.task_at(address) == task
    assert address.count("/") == 3


@pytest.mark.parametrize(
    "path", ["", "/task/1", "/task//fetch", "/task/1/2/fetch", "/xtask/1/fetch"]
)
def test_another_address_asks_for_no_job(path: str) -> None:
    assert RULE.task_at(path) is None
