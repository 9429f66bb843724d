"""The two accents of a shop: which colours can be read, and the style sheet that sets them.

Called by `/brand.css` and by the forms that change a tenant.
"""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from billing.models import Tenant

LEAST_CONTRAST = 4.5
_ON_LIGHT = ("#ffffff", "#fbfbfa", "#f4f4f1")
_ON_DARK = ("#0c0d10", "#121418", "#16181d")
"""The surfaces that an accent is read on, and the ink on a button of its colour."""

_is_colour = re.compile(r"#[0-9a-fA-F]{6}").fullmatch


def contrast(one: str, other: str) -> float:
    """Return the contrast of two `#rrggbb` colours by WCAG 2: 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def validate_light(colour: str) -> None:
    """Refuse an accent that can't be read on the light surfaces. Raises ValidationError."""
    _validate(colour, _ON_LIGHT)


def validate_dark(colour: str) -> None:
    """Refuse an accent that can't be read on the dark surfaces. Raises ValidationError."""
    _validate(colour, _ON_DARK)


def style_sheet(tenant: Tenant) -> str:
    """Return the rule that sets a shop's accents; one that can't be read is left out."""
    accents = (
        ("--brand-light", tenant.brand_light, _ON_LIGHT),
        ("--brand-dark", tenant.brand_dark, _ON_DARK),
    )
    rules = [
        f"{name}: {colour};" for name, colour, surfaces in accents if _is_readable(colour, surfaces)
    ]
    return f":root {{ {' '.join(rules)} }}\n" if rules else ""


def version(tenant: Tenant) -> str:
    """Return what changes with the accents, for the address of the style sheet; "" for none."""
    return f"{tenant.brand_light}{tenant.brand_dark}".replace("#", "")


def _validate(colour: str, surfaces: tuple[str, ...]) -> None:
    if not _is_colour(colour):
        raise ValidationError(_("Write the colour as #rrggbb, for example #0b6b53."))
    if not _is_readable(colour, surfaces):
        worst = min(contrast(colour, surface) for surface in surfaces)
        raise ValidationError(
            _("Text in %(colour)s can't be read here: contrast %(found)s, at least 4.5 is needed.")
            % {"colour": colour, "found": f"{worst:.2f}"}
        )


def _is_readable(colour: str, surfaces: tuple[str, ...]) -> bool:
    return bool(_is_colour(colour)) and all(
        contrast(colour, surface) >= LEAST_CONTRAST for surface in surfaces
    )


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
