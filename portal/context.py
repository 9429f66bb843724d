"""What every page of a shop is told: the shop, its lines, what it announces. Named in the settings.

Two queries at most, and only by a page that shows them: both are asked for on first use.
"""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language

from portal import announcements, brand
from portal.lines import lines_of


def shop(request: HttpRequest) -> dict[str, Any]:
    """Return the variables of `portal/_shop.html`; a view's own go before them.

    `here` is where the language switch leads back to: an answer to a form is no such place.
    """
    tenant = getattr(request, "tenant", None)
    if tenant is None:
        return {}
    language = get_language() or tenant.language
    return {
        "tenant": tenant,
        "brand_version": brand.version(tenant),
        "base_url": f"{request.scheme}://{request.get_host()}",
        "here": request.get_full_path() if request.method in ("GET", "HEAD") else "/",
        "lines": SimpleLazyObject(lambda: lines_of(request)),
        "announcements": SimpleLazyObject(
            lambda: announcements.current(language=language, now=timezone.now())
        ),
    }
