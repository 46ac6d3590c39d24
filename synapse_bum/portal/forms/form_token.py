"""Whether a form was sent from one of our own pages. Pure.

Each form carries a token: a random id and its authentication by a secret of the session. The id serves a second
purpose: a form is carried out once (`records.py`), however often its button is pressed. As each page has new ids,
compression of the page tells nothing about the secret.
"""

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

FIELD: Final = "_form"
"""Name of the hidden field with the token."""


def make(secret: str) -> str:
    """Makes the token of one form.

    Args:
        secret: of the session.
    """
    form_id = secrets.token_urlsafe(18)
    return f"{form_id}.{_mac(form_id, secret)}"


def form_id_of(token: str, secret: str) -> str | None:
    """Returns the id of a form with a genuine token, None otherwise; takes the same time for every wrong one.

    Args:
        token: as it came in.
        secret: of the session.
    """
    form_id, _dot, mac = token.partition(".")
    genuine = hmac.compare_digest(mac.encode(), _mac(form_id, secret).encode())
    return form_id if genuine and form_id else None


def is_from_here(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a browser says that a POST comes from a page of this host.

    Every browser of today sends one of the two headers with a POST; what sends none is no browser with a session.

    Args:
        origin: header `Origin` (RFC 6454 section 7); `null` where the browser hides it.
        fetch_site: header `Sec-Fetch-Site` (W3C Fetch Metadata).
        host: of this request, lower case, without port.
    """
    if origin is None and fetch_site is None:
        return False
    if fetch_site is not None and fetch_site != "same-origin":
        return False
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        return parts.scheme == "https" and _bracketed(parts.hostname or "") == host
    except ValueError:
        return False


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _mac(form_id: str, secret: str) -> str:
    return hmac.new(secret.encode(), form_id.encode(), hashlib.sha256).hexdigest()
