"""How the admin looks: unfold's settings, in the colours of our pages. Read by `portal.settings`.

Dotted names are called with the request when a page is made.
"""

from typing import Any

_INK = {
    "50": "#fbfbfa",
    "100": "#f4f4f1",
    "200": "#e6e6e1",
    "300": "#cdcdc7",
    "400": "#9aa3b2",
    "500": "#6a717d",
    "600": "#4b515c",
    "700": "#3a3f49",
    "800": "#24272e",
    "900": "#121418",
    "950": "#0c0d10",
}
_ACCENT = {
    "50": "#f3f3ff",
    "100": "#e6e6ff",
    "200": "#d0d0ff",
    "300": "#b3b2ff",
    "400": "#9d9cff",
    "500": "#8b8cff",
    "600": "#4f46e5",
    "700": "#443bd0",
    "800": "#3a32ab",
    "900": "#2e2a83",
    "950": "#1c1a4f",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tollgate",
    "SITE_HEADER": "Tollgate",
    "SITE_SUBHEADER": "portal.admin.navigation.subheader",
    "SITE_SYMBOL": "toll",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "/static/portal/mark.svg"},
    ],
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "STYLES": ["/static/portal/admin.css"],
    "COLORS": {"base": _INK, "primary": _ACCENT},
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "portal.admin.dashboard.add_figures",
    "COMMAND": {"search_models": False},
    "SIDEBAR": {"show_search": True, "navigation": "portal.admin.navigation.sidebar"},
}
