"""How long the certificates of a TLS connection are valid: that of the server, and those that vouch for it."""

import datetime as dt
import ssl
from typing import Any

from cryptography import x509


def valid_until(connection: ssl.SSLSocket) -> dt.datetime:
    """When the first certificate of the chain ends that the connection was verified with.

    Args:
        connection: after its handshake, verified.
    """
    return min(certificate.not_valid_after_utc for certificate in _chain(connection))


def _chain(connection: ssl.SSLSocket) -> list[x509.Certificate]:
    """The chain up to the authority that is trusted."""
    public: Any = getattr(connection, "get_verified_chain", None)
    if public is not None:  # Python 3.13 and newer
        return [x509.load_der_x509_certificate(one) for one in public()]
    # Python 3.10 to 3.12 have it, and do not show it.
    inner: Any = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return [x509.load_pem_x509_certificate(one.public_bytes().encode("ascii")) for one in inner.get_verified_chain()]
