"""The compose file: of the right form, and each of its processes well fenced in."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import yaml

from portal.celery import app as celery
from relay import paths

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE = DOCKER / "compose.yaml"
SETTINGS = (DOCKER.parent / "docs/reference/settings.md").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.decode(COMPOSE.read_bytes())["services"]
OURS = ("migrate", "web", "relay", "worker", "beat")


def test_the_file_is_of_the_form_that_compose_reads() -> None:
    command = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [command, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_every_process_of_an_installation_is_there() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "valkey", "caddy"}


@pytest.mark.parametrize("name", OURS)
def test_our_processes_can_write_nothing_but_the_state(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["volumes"] == ["state:/var/lib/tollgate"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]


@pytest.mark.parametrize("name", [name for name in OURS if name != "migrate"])
def test_nothing_starts_before_the_database_is_prepared(name: str) -> None:
    needed = SERVICES[name]["depends_on"]["migrate"]
    assert needed == {"condition": "service_completed_successfully"}


def test_images_of_others_have_a_version() -> None:
    tags = [service["image"].partition(":")[2] for service in SERVICES.values()]
    assert all(tags)
    assert "latest" not in tags


def test_the_worker_serves_every_queue() -> None:
    queues = next(word for word in SERVICES["worker"]["command"] if word.startswith("--queues="))
    assert set(queues.partition("=")[2].split(",")) == set(celery.conf.task_queues)


@pytest.mark.parametrize("name", ["web", "relay"])
def test_servers_are_killed_only_after_their_drain(name: str) -> None:
    drain_s = int(SERVICES[name]["environment"]["TOLLGATE_DRAIN_S"])
    assert int(SERVICES[name]["stop_grace_period"].rstrip("s")) >= drain_s + 10


def test_every_variable_that_we_are_given_is_a_setting() -> None:
    given = {name for service in OURS for name in SERVICES[service]["environment"]}
    assert not [name for name in given if f"`{name}`" not in SETTINGS]


def test_the_example_names_every_variable_that_must_be_set() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    named = set(re.findall(r"^(\w+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert needed
    assert not needed - named


def test_the_proxy_is_the_one_that_is_trusted() -> None:
    subnet = yaml.decode(COMPOSE.read_bytes())["networks"]["default"]["ipam"]["config"][0]
    assert SERVICES["web"]["environment"]["TOLLGATE_TRUSTED_PROXIES"] == subnet["subnet"]


def test_the_proxy_sends_the_relay_what_is_the_relays() -> None:
    matched = re.search(r"@relay path (.+)", (DOCKER / "Caddyfile").read_text())
    assert matched
    patterns = matched[1].split()
    prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    exact = {pattern for pattern in patterns if not pattern.endswith("*")}
    answered = [path for path in paths._ROUTES if path not in (paths.HEALTH, paths.READY)]
    assert not [path for path in answered if path not in exact and not path.startswith(prefixes)]
    assert all(map(paths.is_relay_path, [*exact, *(f"{prefix}anything" for prefix in prefixes)]))
