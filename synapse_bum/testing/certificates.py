"""Certificates in files, for real servers that are configured with paths, and for whoever has to trust these servers.

Verification stays on everywhere: each process that connects is told to trust this one authority, by environment
variables that OpenSSL and Node.js read.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from synapse_bum.testing.federation import CertificateAuthority


class CertificateFolder:
    """An authority of its own and one certificate for 127.0.0.1 and `localhost`, valid for a day.

    Attributes:
        authority: PEM file with what a client has to trust.
        certificate: PEM file with the certificate of a server.
        key: PEM file with its key.
    """

    def __init__(self, folder: Path, authority: CertificateAuthority | None = None) -> None:
        """Writes the files.

        Args:
            folder: where to; it exists.
            authority: who signs; a new one when None.
        """
        authority = authority or CertificateAuthority()
        certificate, key = authority.issue()
        self.authority = folder / "authority.pem"
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.authority.write_bytes(authority.pem)
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)

    @property
    def trusting(self) -> Mapping[str, str]:
        """Environment variables with which a child process trusts the authority.

        `SSL_CERT_FILE` takes the place of the system's list (OpenSSL: SSL_CTX_set_default_verify_paths(3)), which is
        what Synapse's HTTP client uses; `NODE_EXTRA_CA_CERTS` is added to the list of Node.js.
        """
        return {"SSL_CERT_FILE": str(self.authority), "NODE_EXTRA_CA_CERTS": str(self.authority)}

    def context(self) -> ssl.SSLContext:
        """For clients in this process: trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority))
