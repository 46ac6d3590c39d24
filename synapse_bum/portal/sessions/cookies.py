"""The portal's cookies, as `Set-Cookie` lines (RFC 6265). Pure.

None has an end of its own: how old a record may be stands sealed inside, and one that is too old still tells whose form
a page was.

Browsers take a name with `__Host-` from this very host only, so no other host of the same domain can put a session of
its own in place of one of ours. Such a cookie has the path `/`.
"""

from typing import Final

SESSION: Final = "__Host-bum-portal"
NOTICE: Final = "__Host-bum-portal-notice"
SSO_STATE: Final = "__Host-bum-portal-sso"
OIDC_ATTEMPT: Final = "__Host-bum-portal-oidc"

_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
"""Lax: the browser comes back from the identity provider by a link, and must bring its cookies along."""


def cookie(name: str, value: str) -> str:
    """Sets a cookie until the browser is closed."""
    return f"{name}={value}; {_ATTRIBUTES}"


def no_cookie(name: str) -> str:
    """Takes a cookie away."""
    return f"{name}=; Max-Age=0; {_ATTRIBUTES}"
