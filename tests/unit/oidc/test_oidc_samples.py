"""What README, the samples, the API reference and the handbook say about identities is what the code does."""

import argparse
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import attr
import pytest
import yaml
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.oidc import identity_remarks
from synapse_bum.cli.command import Command
from synapse_bum.cli.mas_config import MAS_CONFIG
from synapse_bum.cli.oidc_migrate import OIDC_MIGRATE
from synapse_bum.cli.oidc_migrate.report import lines
from synapse_bum.homeserver.external_ids import Link
from synapse_bum.oidc import OidcModule, api
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.localparts import Choice, Outcome
from synapse_bum.oidc.mapping import Decision, MappingConfig, Preset, candidate, decide, parse_mapping
from synapse_bum.oidc.mapping.config import MappingOptions
from synapse_bum.oidc.mas import conflict
from synapse_bum.oidc.mas.unexpressed import Rule
from synapse_bum.oidc.migration import Migration
from synapse_bum.oidc.providers import providers
from synapse_bum.oidc.scim import errors
from synapse_bum.oidc.scim.person import resource_id
from synapse_bum.oidc.scim.resource import MAX_BODY_BYTES, PATH, ScimResource
from synapse_bum.oidc.scim.resources import parse_user, render
from synapse_bum.secret_store import Secret

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "config-samples"
PACKAGE = REPOSITORY / "synapse_bum"
DOCS = REPOSITORY / "docs"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
API = (DOCS / "api.md").read_text(encoding="utf-8")
HANDBOOK = (DOCS / "oidc.md").read_text(encoding="utf-8")
MAS = (DOCS / "oidc-mas.md").read_text(encoding="utf-8")
PAGES = sorted(DOCS.glob("oidc*.md"))

REQUIRED = {"idp_id": "keycloak", "preset": "keycloak"}
SERVER = "messenger.example"
PUBLIC_BASEURL = yaml.safe_load((SAMPLES / "homeserver.yaml").read_text(encoding="utf-8"))["public_baseurl"]


def reference_block() -> dict[str, Any]:
    """The `config:` of README's block about the mapping."""
    _, _, after = README.partition("\n### The identity module, and the mapping of claims\n")
    block = re.search(r"```yaml\n(.*?)```", after, re.DOTALL)
    assert block is not None
    (entry,) = yaml.safe_load(block[1])["oidc_providers"]
    config: dict[str, Any] = entry["user_mapping_provider"]["config"]
    assert entry["user_mapping_provider"]["module"] == "synapse_bum.oidc.OidcMappingProvider"
    assert entry["idp_id"] == config["idp_id"]
    return config


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8"))
    return loaded


def installed(name: str, folder: Path) -> dict[str, Any]:
    """A sample as a whole homeserver.yaml, with the files that it names."""
    config = sample(name)
    (entry,), (module,) = config["oidc_providers"], config["modules"]
    secret, token = folder / "client-secret", folder / "scim-token"
    secret.write_text("of the test")
    token.write_text("t" * 64)
    assert entry["client_secret_path"].startswith("/etc/matrix-synapse/")
    entry["client_secret_path"] = str(secret)
    if "scim" in module["config"]:
        module["config"]["scim"]["token_path"] = str(token)
    server = {"server_name": SERVER, "public_baseurl": PUBLIC_BASEURL, "macaroon_secret_key": "of the test"}
    return {**server, "signing_key": "ed25519 a_test " + "A" * 43, **config}


def mapping_of(name: str) -> MappingConfig:
    (entry,) = sample(name)["oidc_providers"]
    return parse_mapping(entry["user_mapping_provider"]["config"])


def json_examples(document: str) -> Iterator[dict[str, Any]]:
    """Every JSON object that a document shows."""
    for block in re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", document, re.MULTILINE):
        if block.lstrip().startswith('{"') or block.lstrip().startswith("{\n"):
            yield json.loads(block)


def section(document: str, heading: str) -> str:
    """What stands below a heading."""
    _, found, after = document.partition(f"\n{heading}\n")
    assert found, heading
    return after.partition("\n## ")[0]


def test_readmes_block_names_every_key_of_the_mapping() -> None:
    assert reference_block().keys() == {field.name for field in attr.fields(MappingOptions)}
    (presets,) = re.findall(r"preset: keycloak +# ([a-z_| ]+);", README)
    assert presets.split(" | ") == [preset.value for preset in Preset]


@pytest.mark.parametrize("key", sorted(reference_block().keys() - REQUIRED))
def test_readmes_block_shows_the_true_default_of_the_mapping(key: str) -> None:
    assert parse_mapping({**REQUIRED, key: reference_block()[key]}) == parse_mapping(REQUIRED)


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_the_keys_that_readme_calls_required_are_so(key: str) -> None:
    with pytest.raises(ConfigError, match=f"missing required key `config.{key}`"):
        parse_mapping({name: value for name, value in REQUIRED.items() if name != key})


@pytest.mark.parametrize("name", ["oidc-keycloak.yaml", "oidc-entra-id.yaml", "oidc-okta.yaml"])
def test_synapse_and_we_accept_the_sample(name: str, tmp_path: Path) -> None:
    homeserver = installed(name, tmp_path)
    config = HomeServerConfig()
    config.parse_config_dict(homeserver, str(tmp_path), str(tmp_path))
    ((module, module_config),) = config.modules.loaded_modules
    assert module is OidcModule
    assert isinstance(module_config, OidcConfig)
    mapped = providers(Mock(_hs=SimpleNamespace(config=config)))
    assert mapped.keys() == {homeserver["oidc_providers"][0]["idp_id"]}
    assert module_config.scim.idp_id in {None, *mapped}
    assert config.oidc.oidc_callback_url == f"{PUBLIC_BASEURL}_synapse/client/oidc/callback"
    said = list(identity_remarks(module_config, homeserver))
    assert said == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_addresses_to_enter_at_identity_providers_are_those_of_the_sample_homeserver(page: Path) -> None:
    known = {f"{PUBLIC_BASEURL}_synapse/client/oidc/{name}" for name in ("callback", "backchannel_logout")}
    known.add(PUBLIC_BASEURL.rstrip("/") + PATH)
    shown = re.findall(r"https://(?!admin\.)[\w.]*messenger\.example/[\w./-]*", page.read_text(encoding="utf-8"))
    assert set(shown) <= known
    assert shown or page.name in {"oidc.md", "oidc-mas.md"}


def as_preview(decision: Decision) -> dict[str, Any]:
    """What the preview answers for somebody whose name is free."""
    choice = Choice(Outcome.FREE, f"@{decision.localpart}:{SERVER}")
    return api._allowed(decision, api._Found(choice, None, address_is_taken=False), follows_roles=True)


def test_the_preview_in_the_api_reference_is_that_of_the_sample() -> None:
    request, allowed, refused = json_examples(section(API, "## POST /oidc/preview"))
    config = mapping_of("oidc-keycloak.yaml")
    assert request.keys() == {field.name for field in attr.fields(api.PreviewBody)}
    decision = decide(config, request["claims"])
    assert allowed == as_preview(decision)
    without_role = decide(config, {**request["claims"], "realm_access": {"roles": []}})
    assert refused == api._refused(without_role.reasons)


def test_the_preview_in_the_handbook_is_that_of_the_sample() -> None:
    request, allowed = json_examples(HANDBOOK)
    decision = decide(mapping_of("oidc-keycloak.yaml"), request["claims"])
    assert allowed == as_preview(decision)


def test_the_suffix_that_documents_show_is_that_of_a_person() -> None:
    named = candidate(
        "juergen.gross",
        idp_id="keycloak",
        subject="f1c2a7de-0000-4000-8000-000000000002",
        server_name=SERVER,
        attempt=1,
    )
    for document in (README, HANDBOOK):
        assert {named} == set(re.findall(r"juergen\.gross-\w+", document))


def test_the_link_in_the_api_reference_is_that_of_the_code() -> None:
    (page,) = json_examples(section(API, "## GET /oidc/links"))
    (shown,) = page["links"]
    link = Link("oidc-keycloak", shown["subject"], shown["user_id"], is_admin=True)
    assert shown == api._as_json(link, {shown["user_id"]: {"keycloak"}})


def test_the_audit_actions_in_the_api_reference_are_those_of_the_code() -> None:
    (row,) = re.findall(r"^\| `action` \| (only rows.*) \|$", API, re.MULTILINE)
    shown: set[str] = set()
    for part in row.split(";"):
        names = re.findall(r"`(.*?)`", part)
        if names[0].startswith("oidc."):
            prefix = names[0] if names[0].endswith(".") else ""
            shown.update(prefix + name for name in (names[1:] if prefix else names))
    sources = {path: path.read_text(encoding="utf-8") for path in (PACKAGE / "oidc").rglob("*.py")}
    written = set(re.findall(r'"(oidc\.\w+\.\w+)"', "".join(sources.values()))) | {
        f"oidc.admin.{name}" for name in re.findall(r'append\("(\w+)"', sources[PACKAGE / "oidc" / "admins.py"])
    }
    service = sources[PACKAGE / "oidc" / "scim" / "service.py"]
    written |= {f"oidc.scim.{name}" for name in re.findall(r'_note\(txn, "(\w+)"', service)}
    (of_changes,) = re.findall(r"\n +action = (.*)\n", service)
    written |= {f"oidc.scim.{name}" for name in re.findall(r'"(\w+)"', of_changes)}
    assert shown == written
    explained = re.findall(r"^\| (`oidc\..*?) \|", API, re.MULTILINE)
    assert set(re.findall(r"`(.*?)`", " ".join(explained))) == written


def test_the_person_in_the_api_reference_is_rendered_so() -> None:
    request, answer, error = json_examples(section(API, f"## SCIM: `{PATH}`"))
    user = parse_user(request)
    created = datetime.fromisoformat(answer["meta"]["created"].replace("Z", "+00:00"))
    created_ts = round(created.timestamp() * 1000)
    identifier = resource_id(user.external_id or "")
    location = f"{PUBLIC_BASEURL.rstrip('/')}{PATH}/Users/{identifier}"
    user_id = f"@{request['userName']}:{SERVER}"
    assert answer == render(
        user,
        resource_id=identifier,
        user_id=user_id,
        created_ts=created_ts,
        modified_ts=created_ts,
        location=location,
    )
    assert error == errors.UniquenessError(error["detail"]).answer().body


def test_the_api_reference_names_every_path_of_scim() -> None:
    described = section(API, f"## SCIM: `{PATH}`")
    shown: set[tuple[str, str]] = set()
    for row in re.findall(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE) .*?) \|", described, re.MULTILINE):
        method = ""
        for name in re.findall(r"`(.*?)`", row):
            method, _, path = name.rpartition(" ") if " " in name else (method, "", name)
            shown.add((method, re.sub(r"\{\w+\}", "{}", path.lower())))
    routes = ScimResource(Mock(), None, Secret("t" * 32), ())._routes
    served = {(method, "/".join(path)) for path, methods in routes.items() for method in methods}
    assert {(method, path.replace("resourcetypes/user", "resourcetypes/{}")) for method, path in shown} == served
    assert f"at most {MAX_BODY_BYTES:,} bytes" in described


def test_the_api_reference_names_every_refusal_of_scim() -> None:
    def below(kind: type[errors.ScimError]) -> Iterator[type[errors.ScimError]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    rows = re.findall(r"^\| (\d{3}) \|([^|]*)\|", section(API, f"## SCIM: `{PATH}`"), re.MULTILINE)
    shown = {(int(status), name) for status, names in rows for name in re.findall(r"`(\w+)`", names) or [None]}
    in_code = {(kind.status, kind.scim_type) for kind in below(errors.ScimError)}
    # Never raised as itself.
    assert shown == in_code - {(errors.InvalidRequestError.status, None)}


def test_check_says_what_readme_shows() -> None:
    shown = re.findall(
        r"^    (?:ERROR|WARNING) +(.*(?:allow_existing_users|backchannel_logout|scim\.idp_id).*)$", README, re.MULTILINE
    )
    entry = {
        "idp_id": "keycloak",
        "issuer": "https://sso.example/realms/a",
        "client_id": "messenger",
        "scopes": ["openid"],
        "allow_existing_users": True,
        "user_mapping_provider": {"module": "synapse_bum.oidc.OidcMappingProvider", "config": REQUIRED},
    }
    scim = {"enabled": True, "idp_id": "okta", "token_path": "/nowhere"}
    remarks = identity_remarks(OidcModule.parse_config({"scim": scim}), {"oidc_providers": [entry]})
    assert len(shown) == 3
    assert set(shown) <= {remark.text for remark in remarks}


@pytest.mark.parametrize("command", [MAS_CONFIG, OIDC_MIGRATE], ids=lambda command: command.name)
def test_the_commands_that_documents_show_are_understood(command: Command) -> None:
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    shown = [
        line
        for document in (README, HANDBOOK, MAS)
        for line in re.findall(rf"^    synapse-bum {command.name} (.*)$", document, re.MULTILINE)
    ]
    assert len(shown) > 1
    for line in shown:
        assert parser.parse_args(line.partition(" > ")[0].split()).config_path


def test_the_words_of_a_migration_in_the_handbook_are_those_that_are_printed() -> None:
    thing = Mock(user_id="@a:b", old="o", new="n", source="line 1", external_id="n")
    migration = Migration((thing,), (thing,), (thing,), (thing,), 0, ())
    printed = [line[:12].strip() for line in lines(migration, applied=False)][:4]
    table = section(HANDBOOK, "## Wenn sich die Kennung ändert")
    assert re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE) == printed


def test_the_rules_that_do_not_hold_with_mas_are_all_explained() -> None:
    table = section(MAS, "## Welche nicht gelten")
    assert re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE) == [
        rule.value for rule in sorted(Rule, key=lambda rule: table.find(f"`{rule.value}`"))
    ]


def test_the_sentence_about_mas_is_the_one_that_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"matrix_authentication_service": {"enabled": True}}
    monkeypatch.setattr(conflict, "config_being_read", lambda: both)
    (shown,) = re.findall(r"^    (`oidc_providers` and .*)$", MAS, re.MULTILINE)
    with pytest.raises(ConfigError) as caught:
        conflict.refuse_beside_mas()
    assert caught.value.msg.startswith(shown.rstrip("."))
    assert conflict.EXPERIMENTAL_KEY in MAS


def test_the_messages_that_the_handbook_explains_are_in_the_code() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    pieces = re.sub(r'"\s*\n\s*f?"', "", source).replace("%d", "50")
    table = section(HANDBOOK, "## Meldungen und Alarme")
    rows = re.findall(r"^\| (.*?) \| .*? \| .*? \|$", table.partition("Alarme für Prometheus")[0], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(.*?)`", row)}
    of_synapse = {"Could not map user"}
    assert len(named) > 8
    assert {name for name in named - of_synapse if name not in pieces} <= {"config.scim.token_path"}
