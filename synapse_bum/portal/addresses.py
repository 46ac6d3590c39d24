"""Addresses of the portal's own pages. Pure."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

PORTAL: Final = "/_synapse/client/bum/portal"
"""Where the portal is; the start page has a slash behind it."""

LOGIN: Final = "login"
LOGOUT: Final = "logout"
SSO: Final = "sso"
SSO_RETURN: Final = "sso/return"
OIDC: Final = "oidc"
OIDC_RETURN: Final = "oidc/return"
STATIC: Final = "static"
ACCESSIBILITY: Final = "accessibility"


def url(path: str = "", query: Mapping[str, str | int] | None = None, **segments: str) -> str:
    """Returns the address of a page.

    Args:
        path: as the page has it, for example `users/{user_id}`.
        query: parameters; escaped here.
        **segments: for the names in braces; escaped here.
    """
    filled = path.format_map({name: quote(value, safe="") for name, value in segments.items()})
    return f"{PORTAL}/{filled}" + (f"?{urlencode(query)}" if query else "")
