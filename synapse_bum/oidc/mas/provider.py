"""From an entry of `oidc_providers` to one of `upstream_oauth2.providers` of the Matrix Authentication Service. Pure.

Sources: `synapse/config/oidc.py` (1.163.2); MAS, "Configuration file reference", `upstream_oauth2`, and
`crates/config/src/sections/upstream_oauth2.rs` (1.20).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attr

from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.localpart import candidate
from synapse_bum.oidc.mas.templates import ClaimTemplates, claim_templates
from synapse_bum.oidc.mas.unexpressed import Unexpressed, unexpressed

PLACEHOLDER: Final = "/path/to/a/file/with/the/client-secret"
"""What is printed for a secret that stands in homeserver.yaml itself: MAS does not start before it is a real path."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LENGTH: Final = 26
_DEFAULT_ALGORITHM: Final = "RS256"
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
_LOST: Final = {
    "attribute_requirements": "who lacks these attributes is let in; use `required_roles` of the mapping",
    "backchannel_logout_ignore_sub": "MAS always compares `sub` when the logout token has one",
    "client_secret_jwt_key": "see `private_key_jwt` and `sign_in_with_apple` in the manual of MAS",
    "redirect_uri": "MAS has its own",
    "id_token_signing_alg_values_supported": "MAS takes one algorithm",
}
"""Options of Synapse that have no equal in MAS, and what to know about that."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Upstream:
    """One provider for MAS.

    Attributes:
        options: of the provider, without `claims_imports`, in the order in which they are printed.
        templates: for `claims_imports`.
        remarks: sentences about options that have no equal.
        unexpressed: rules of the mapping that don't hold.
    """

    options: Mapping[str, Any]
    templates: ClaimTemplates
    remarks: tuple[str, ...]
    unexpressed: tuple[Unexpressed, ...]


def upstream(
    entry: Mapping[str, Any], config: MappingConfig, server_name: str, *, doubts: Iterable[str] = ()
) -> Upstream:
    """Translate one entry.

    Args:
        entry: of `oidc_providers`, with our mapping; valid for Synapse.
        config: of the mapping.
        server_name: of the homeserver.
        doubts: sentences about what is wrong with the entry already; they come first among the remarks.

    Raises:
        KeyError: the entry lacks what Synapse itself requires.
    """
    scopes = entry.get("scopes") or ["openid"]
    from_userinfo = entry.get("user_profile_method") == "userinfo_endpoint" or "openid" not in scopes
    room = longest_localpart(server_name)
    templates = claim_templates(config, from_userinfo=from_userinfo, room=room)
    return Upstream(
        options={
            "id": provider_id(entry["issuer"], entry["client_id"], config.idp_id),
            "synapse_idp_id": config.auth_provider,
            "issuer": entry["issuer"],
            "human_name": entry.get("idp_name", "OIDC"),
            **({"brand_name": entry["idp_brand"]} if entry.get("idp_brand") else {}),
            "client_id": entry["client_id"],
            **_authentication(entry),
            **_signature(entry),
            "scope": " ".join(scopes),
            "discovery_mode": _discovery(entry),
            **{name: entry[name] for name in _ENDPOINTS if entry.get(name)},
            "pkce_method": entry.get("pkce_method", "auto"),
            "fetch_userinfo": from_userinfo,
            **_parameters(entry),
            **({"on_backchannel_logout": "logout_all"} if entry.get("backchannel_logout_enabled") else {}),
        },
        templates=templates,
        remarks=(*doubts, *_remarks(entry)),
        unexpressed=unexpressed(config, room=room, has_email=templates.email is not None),
    )


def provider_id(issuer: str, client_id: str, idp_id: str) -> str:
    """Make the ULID of a provider, the same one each time: MAS knows a provider by it.

    Source: "Universally Unique Lexicographically Sortable Identifier", canonical string representation: 128 bits in
    Crockford's base 32.
    """
    digest = hashlib.sha256(json.dumps([issuer, client_id, idp_id]).encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(_ULID_LENGTH)))


def longest_localpart(server_name: str) -> int:
    """Returns how long a localpart may be that our mapping gives without a suffix; 0 when there is no room at all."""
    lengths = range(255 - len("@:") - len(server_name.encode()), 0, -1)
    return next((length for length in lengths if _stays("a" * length, server_name)), 0)


def _stays(localpart: str, server_name: str) -> bool:
    return candidate(localpart, idp_id="", subject="", server_name=server_name, attempt=0) == localpart


def _authentication(entry: Mapping[str, Any]) -> dict[str, str]:
    has_secret = any(entry.get(key) for key in ("client_secret", "client_secret_path", "client_secret_jwt_key"))
    method = entry.get("client_auth_method") or ("client_secret_basic" if has_secret else "none")
    if method == "none":
        return {"token_endpoint_auth_method": "none"}
    return {
        # A secret is never printed: what is printed ends up in terminals, tickets and repositories.
        "client_secret_file": entry.get("client_secret_path") or PLACEHOLDER,
        "token_endpoint_auth_method": method,
    }


def _signature(entry: Mapping[str, Any]) -> dict[str, str]:
    algorithms = entry.get("id_token_signing_alg_values_supported") or [_DEFAULT_ALGORITHM]
    return {} if _DEFAULT_ALGORITHM in algorithms else {"id_token_signed_response_alg": algorithms[0]}


def _discovery(entry: Mapping[str, Any]) -> str:
    if not entry.get("discover", True):
        return "disabled"
    return "insecure" if entry.get("skip_verification") else "oidc"


def _parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    fixed = {
        name: value
        for name, value in (entry.get("additional_authorization_parameters") or {}).items()
        if "{" not in str(value)
    }
    found: dict[str, Any] = {"additional_authorization_parameters": fixed} if fixed else {}
    if "login_hint" in (entry.get("passthrough_authorization_parameters") or []):
        found["forward_login_hint"] = True
    return found


def _remarks(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("client_secret"):
        yield (
            "the client secret stands in homeserver.yaml itself and is not printed: write it to a file that only MAS"
            " can read, and name the file"
        )
    for key, text in _LOST.items():
        value = entry.get(key)
        if value and not (isinstance(value, list) and key.startswith("id_token") and len(value) == 1):
            yield f"`{key}` has no equal: {text}"
    if not entry.get("enable_registration", True):
        yield "`enable_registration: false` has no equal: MAS makes accounts for whoever may log in"
    others = _others(entry.get("passthrough_authorization_parameters") or [])
    if others:
        yield f"`passthrough_authorization_parameters` has an equal for login_hint only, not for {others}"
    for name, value in (entry.get("additional_authorization_parameters") or {}).items():
        if "{" in str(value):
            yield f"`additional_authorization_parameters.{name}` is left out: MAS would read its value as a template"


def _others(parameters: Iterable[str]) -> str:
    return ", ".join(name for name in parameters if name != "login_hint")
