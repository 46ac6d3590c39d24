"""Real homeservers that federate with each other on the loopback interface, over TLS as in the real world.

A server is called `localhost:<port of its federation listener>`, so that no name has to be resolved. An authority made
for the test signs the certificates, and only it is trusted. Synapse is built to refuse loopback addresses, to be
patient with a peer that does not answer, and then to leave it alone for minutes; all that is switched off. Run on
Synapse 1.133.0 and 1.163.2, and between them (1.133.0 does not know the default room version of 1.163.2).
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.synapse import RealSynapse

_HOST: Final = "localhost"
_LIFETIME: Final = dt.timedelta(days=1)
_CLOCK_SKEW: Final = dt.timedelta(hours=1)
IMPATIENT: Final = {  # milliseconds
    "destination_min_retry_interval": 100,
    "destination_max_retry_interval": 1000,
    "max_short_retry_delay": 100,
    "max_short_retries": 1,
    "max_long_retry_delay": 500,
    "max_long_retries": 3,
}
"""`federation` of homeserver.yaml: who does not answer is asked again soon."""


class CertificateAuthority:
    """Signs certificates for servers on this machine, as RFC 5280 wants them. Its key exists in memory only."""

    def __init__(self, lifetime: dt.timedelta = _LIFETIME) -> None:
        """Make the authority's own certificate, which is valid for so long."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "synapse_bum tests")])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            self._unsigned(self._name, self._key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """The certificate of the authority: what a client has to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str] = (_HOST,), lifetime: dt.timedelta = _LIFETIME) -> tuple[bytes, bytes]:
        """Make a key, and a certificate for 127.0.0.1 and some names, which is valid for a day.

        Args:
            names: DNS names; `localhost` unless told.
            lifetime: from now on.

        Returns:
            Certificate and key, both PEM.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName(
            [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address(LOOPBACK))],
        )
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = (
            self._unsigned(subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(alternatives, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), private

    def _unsigned(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: dt.timedelta
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lifetime) - _CLOCK_SKEW)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )


class FederatingSynapse(RealSynapse):
    """A homeserver that federates with all others that have their certificate from the same authority.

    Example::

        authority = CertificateAuthority()
        with FederatingSynapse(authority, modules=[module]) as here, FederatingSynapse(authority) as there:
            alice, bob = here.register("alice"), there.register("bob")

    Whoever is to federate with it need not run yet. Only `federation_domain_whitelist` in `config` narrows it down.

    Attributes:
        federation_url: `https://localhost:port`, what other servers connect to.
    """

    def __init__(self, authority: CertificateAuthority, **options: Any) -> None:  # noqa: ANN401 - those of RealSynapse
        """Prepare a homeserver; `start()` or entering the context starts it.

        Args:
            authority: signs this server's certificate; the server trusts no other one.
            **options: as for `RealSynapse`, without `server_name`. `listeners` are those without TLS.
        """
        port = free_port()
        super().__init__(server_name=f"{_HOST}:{port}", **options)
        self.federation_url = f"https://{self.server_name}"
        certificate, key = authority.issue()
        self.config["listeners"].append(
            {
                "port": port,
                "bind_addresses": [LOOPBACK],
                "type": "http",
                "tls": True,
                "resources": [{"names": ["federation"]}],
            }
        )
        self.config["tls_certificate_path"] = str(self._write("certificate.pem", certificate))
        self.config["tls_private_key_path"] = str(self._write("key.pem", key))
        self.config["federation_custom_ca_list"] = [str(self._write("authority.pem", authority.pem))]
        self.config.setdefault("ip_range_whitelist", [f"{LOOPBACK}/8"])
        self.config.setdefault("federation", dict(IMPATIENT))

    def _write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path
