"""The secrets of a new homeserver: each a file of its own, made here and nowhere else known."""

import base64
import secrets
import string

from cryptography.fernet import Fernet

from synapse_bum.cli.provision.order import Order


def secret_files(order: Order) -> dict[str, str]:
    """Make them.

    Returns:
        The contents by path below the folder.
    """
    files = {
        "signing.key": signing_key(),
        "macaroon_secret_key": secrets.token_urlsafe(48),
        "registration_shared_secret": secrets.token_urlsafe(48),
        "form_secret": secrets.token_urlsafe(48),
        "probe-token": secrets.token_hex(32),
        "portal-session-keys": Fernet.generate_key().decode("ascii"),
    }
    if order.workers:
        files["worker_replication_secret"] = secrets.token_urlsafe(48)
    if order.database_password is not None:
        files["pgpass"] = f"*:*:*:*:{_escaped(order.database_password)}"
    if order.identity_provider is not None:
        files["identity-provider-client-secret"] = order.identity_provider.client_secret
    return {f"secrets/{name}": f"{content}\n" for name, content in files.items()}


def signing_key() -> str:
    """Make a key as Synapse reads it: algorithm, version, 32 random bytes in Base64 without padding."""
    version = "a_" + "".join(secrets.choice(string.ascii_letters) for _ in range(4))
    seed = base64.b64encode(secrets.token_bytes(32)).decode("ascii").rstrip("=")
    return f"ed25519 {version} {seed}"


def _escaped(password: str) -> str:
    """As libpq reads a field of its password file (PostgreSQL, "The Password File")."""
    return password.replace("\\", "\\\\").replace(":", "\\:")
