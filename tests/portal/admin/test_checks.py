"""System checks: a page of the admin outside the scoped base is an error, production is clean."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core import checks
from unfold.admin import ModelAdmin, TabularInline

from billing.models import Tenant, Wallet
from portal.admin.base import ScopedAdmin
from portal.admin.checks import unscoped_parts

ROOT = Path(__file__).resolve().parents[3]


class PlainInline(TabularInline):  # type: ignore[misc]
    """An inline that knows nothing of shops."""

    model = Wallet


class PageWithPlainInline(ScopedAdmin):
    """A scoped page around it."""

    inlines = (PlainInline,)


def test_what_is_registered_is_scoped() -> None:
    assert not [problem for problem in checks.run_checks() if str(problem.id).startswith("portal.")]


@pytest.mark.parametrize("plain", [admin.ModelAdmin, ModelAdmin])
def test_a_page_outside_the_base_class_is_an_error(plain: Any) -> None:
    (problem,) = unscoped_parts(plain(Tenant, admin.site))
    assert problem.id == "portal.E001"


def test_an_inline_outside_the_base_class_is_an_error() -> None:
    page: Any = PageWithPlainInline
    (problem,) = unscoped_parts(page(Tenant, admin.site))
    assert problem.id == "portal.E002"


def test_groups_are_no_second_answer_to_who_may_what() -> None:
    assert not admin.site.is_registered(Group)


def test_a_page_without_verbs_shows_nothing_to_anyone() -> None:
    assert ScopedAdmin.verbs == ScopedAdmin.member_verbs == frozenset()


def test_production_settings_pass_djangos_own_checks() -> None:
    environment = {**os.environ, "TOLLGATE_HTTPS": "1"}
    argv = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
