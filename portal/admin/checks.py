"""System checks: nothing is registered in the admin that does not keep shops apart."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.checks import CheckMessage, Error, register

from portal.admin.base import ScopedAdmin, ScopedInline


@register("admin")
def every_admin_is_scoped(
    *, app_configs: Sequence[Any] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Fail for a ModelAdmin or inline outside the scoped base classes."""
    return [problem for page in admin.site._registry.values() for problem in unscoped_parts(page)]


def unscoped_parts(page: "admin.ModelAdmin[Any]") -> list[CheckMessage]:
    """Return an error for the page and for each of its inlines that is not scoped."""
    problems: list[CheckMessage] = []
    if not isinstance(page, ScopedAdmin):
        problems.append(
            Error(
                f"{type(page).__name__} would show every shop's rows to every member.",
                hint="Derive it from portal.admin.base.ScopedAdmin.",
                obj=type(page),
                id="portal.E001",
            )
        )
    problems += [
        Error(
            f"{inline.__name__} would show every shop's rows to every member.",
            hint="Derive it from portal.admin.base.ScopedInline.",
            obj=inline,
            id="portal.E002",
        )
        for inline in page.inlines
        if not issubclass(inline, ScopedInline)
    ]
    return problems
