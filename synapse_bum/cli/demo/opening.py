"""The first two steps of the demo: they start the scanner and the homeserver that all others play on."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Final

from synapse_bum import __version__
from synapse_bum.cli.demo.performance import Performance
from synapse_bum.cli.demo.promise import require
from synapse_bum.cli.demo.report import duration
from synapse_bum.cli.demo.scanner import ChosenClamd, choose_clamd
from synapse_bum.cli.demo.stage import ADMIN_ROLE, IDP_ID, PORTAL_HOST, Stage
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.federation import CertificateAuthority, FederatingSynapse
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.small_identity_provider import SmallIdentityProvider
from synapse_bum.testing.sso_browser import CLIENT

STEPS: Final = 2
"""How many steps `open_stage` plays when nothing fails."""


def open_stage(
    performance: Performance, resources: ExitStack, choose: Callable[[], ChosenClamd] = choose_clamd
) -> Stage | None:
    """Start clamd and Synapse, each as a step.

    Args:
        performance: plays and reports them.
        resources: stops what was started, and removes its files, when it is closed.
        choose: prepares the scanner.

    Returns:
        The stage; None when a server did not start.
    """
    chosen = choose()
    clamd = chosen.clamd
    resources.callback(clamd.close)

    def start_clamd() -> Iterator[str]:
        clamd.start()
        yield f"{clamd.command('VERSION')} answers on a unix socket after {duration(clamd.start_seconds)}."
        yield chosen.signatures

    if not performance.play("clamd starts", "clamd is used as distributions ship it", start_clamd):
        return None
    authority = CertificateAuthority()
    synapse = FederatingSynapse(
        authority,
        modules=_modules(clamd),
        listeners=[["client"], ["metrics"]],
        config={"federation_domain_whitelist": [], "sso": {"client_whitelist": [CLIENT]}},
    )
    resources.callback(synapse.close)
    portal = {"hosts": [PORTAL_HOST], "admin_api_url": synapse.base_url}
    synapse.config["modules"].append({"module": "synapse_bum.portal.PortalModule", "config": portal})
    provider = SmallIdentityProvider(synapse.base_url)
    resources.callback(provider.close)
    scim = _connect(synapse, provider)
    opened: list[Stage] = []

    def start_synapse() -> Iterator[str]:
        provider.start()  # Synapse 1.133.0 does not start without it
        synapse.start()
        admin, alice = synapse.register("admin", admin=True), synapse.register("alice")
        stage = Stage(clamd, synapse, admin, alice, authority, provider, scim)
        answer = stage.admin.get("/_synapse/admin/v1/server_version")
        require(answer.status == HTTPStatus.OK, f"Synapse told its version with HTTP {answer.status}.")
        # Behind the version it names the branch that it runs from, if it lies in a Git repository.
        version = answer.json["server_version"].split()[0]
        yield (
            f"Synapse {version} on SQLite, with synapse_bum {__version__} loaded, serves {synapse.base_url} after"
            f" {duration(synapse.start_seconds)}."
        )
        yield "It has two users: an administrator and Alice."
        yield f"It is connected over OpenID Connect with an identity provider, {provider.issuer}."
        opened.append(stage)

    performance.play("Synapse starts with the modules", "Synapse needs no patch, only configuration", start_synapse)
    return opened[0] if opened else None


def _connect(synapse: FederatingSynapse, provider: SmallIdentityProvider) -> HttpClient:
    """Have a homeserver know its identity provider; returns the client with which that one provisions accounts."""
    mapping = {"preset": "keycloak", "admin_roles": [ADMIN_ROLE]}
    # The provider speaks no TLS, which Synapse takes for a mistake unless told so.
    synapse.config["oidc_providers"] = [provider.relation.entry(IDP_ID, mapping, skip_verification=True)]
    token = secrets.token_hex(32)
    token_path = synapse.directory / "scim-token"
    token_path.write_text(token, encoding="ascii")
    scim = {"enabled": True, "idp_id": IDP_ID, "token_path": str(token_path)}
    synapse.config["modules"].append({"module": "synapse_bum.oidc.OidcModule", "config": {"scim": scim}})
    return HttpClient(synapse.base_url, token)


def _modules(clamd: RealClamd) -> list[dict[str, Any]]:
    """The `modules` section of homeserver.yaml: all as by default, but for addresses and the contract's lifetimes."""
    return [
        {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix}},
        },
        {
            "module": "synapse_bum.retention.RetentionModule",
            "config": {
                "messages": {"lifetime": "1y"},
                "local_media": {"lifetime": "90d"},
                "remote_media": {"lifetime": "14d"},
            },
        },
        {"module": "synapse_bum.storage.StorageModule"},
        {"module": "synapse_bum.federation.FederationModule", "config": {}},
        {"module": "synapse_bum.availability.AvailabilityModule", "config": {}},
    ]
