"""The mapping as templates of the Matrix Authentication Service (MAS), in the language MiniJinja. Pure.

Facts of MAS 1.x (`crates/handlers/src/upstream_oauth2/`: `callback.rs`, `link.rs`, `template.rs`):

* The subject is rendered at every login, and a login with an empty one or an error is refused. So the template of the
  subject is the gate: it is empty for everybody who may not come.
* Localpart, display name and address are rendered when somebody comes for the first time. A localpart that is
  `require`d and empty refuses the registration.
* Templates see `id_token_claims` and `userinfo_claims`. What is missing is undefined: empty when it is printed, an
  error when something of it is asked for.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

import attr

from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.display_name import BLANK
from synapse_bum.oidc.mapping.preset import PRESETS, ClaimPath, Preset
from synapse_bum.oidc.mas.characters import (
    CONTROL,
    INVISIBLE,
    LINE_ENDS,
    MARKS,
    UNSEEN_ALONE,
    composed_umlauts,
    letters_in_ascii,
)

LONGEST_SUBJECT: Final = 255
LONGEST_LOGIN_NAME: Final = 1_000
LONGEST_DISPLAY_NAME: Final = 256
LONGEST_EMAIL: Final = 254
LONGEST_LOCAL_PART: Final = 64

_GUIDS: Final = frozenset({"tid", "oid"})
_GUEST_NAMES: Final = ("preferred_username", "upn")
_REFUSE: Final = "{%- set here.refused = true -%}"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ClaimTemplates:
    """What stands under `claims_imports`, by key.

    Attributes:
        subject: empty for everybody who may not log in.
        localpart: empty where there is none.
        display_name: empty where there is none.
        email: empty where there is none that can be trusted; None when there never is one.
    """

    subject: str
    localpart: str
    display_name: str
    email: str | None


def claim_templates(config: MappingConfig, *, from_userinfo: bool, room: int) -> ClaimTemplates:
    """Write the templates of a mapping.

    Args:
        config: of the mapping.
        from_userinfo: whether the claims are those of the userinfo endpoint, as with Synapse's `user_profile_method`;
            otherwise those of the ID token.
        room: the longest localpart that needs no suffix, in characters.
    """
    source = f"{{%- set claims = {'userinfo_claims' if from_userinfo else 'id_token_claims'} -%}}"
    return ClaimTemplates(
        subject=_lines(source, *_subject(config)),
        localpart=_lines(source, *_localpart(config, room)),
        display_name=_lines(source, *_display_name(config)),
        email=_lines(source, *_email(config)) if _has_email(config) else None,
    )


def _has_email(config: MappingConfig) -> bool:
    return PRESETS[config.preset].email_when_verified if config.trust_email is None else config.trust_email


def _subject(config: MappingConfig) -> Iterable[str]:
    yield "{%- set here = namespace(refused=false, found=none, held=false) -%}"
    yield f"{{%- set parts = [{', '.join(_part(config.preset, name) for name in config.subject_claims)}] -%}}"
    yield "{%- for part in parts -%}"
    yield f'{{%- if part is not string or part == "" or part | length > {LONGEST_SUBJECT} -%}}{_REFUSE}'
    if len(config.subject_claims) > 1:
        yield f'{{%- elif ":" in part -%}}{_REFUSE}'
    yield "{%- else -%}"
    yield f"{{%- for c in part -%}}{_for_range(CONTROL, _REFUSE)}{{%- endfor -%}}"
    yield "{%- endif -%}"
    yield "{%- endfor -%}"
    if config.tenant is not None:
        yield "{#- Only people of the tenant. -#}"
        yield '{%- if claims["tid"] is not string or claims["tid"] | lower != ' + _text(config.tenant) + " -%}"
        yield f"{_REFUSE}{{%- endif -%}}"
    if config.preset is Preset.ENTRA_ID and config.deny_guests:
        yield "{#- No guests of the tenant. -#}"
        yield from _guest_gate(config)
    if config.required_roles:
        yield "{#- Only people with one of the required roles. -#}"
        yield from _role_gate(config)
    yield '{%- set subject = parts | join(":") -%}'
    yield f"{{%- if not here.refused and subject | length <= {LONGEST_SUBJECT} -%}}{{{{ subject }}}}{{%- endif -%}}"


def _part(preset: Preset, name: str) -> str:
    claim = f"claims[{_text(name)}]"
    if preset is Preset.ENTRA_ID and name in _GUIDS:
        return f"{claim} | lower if {claim} is string else none"
    if PRESETS[preset].integer_subject:
        return f'{claim} ~ "" if {claim} is integer else {claim}'
    return claim


def _guest_gate(config: MappingConfig) -> Iterable[str]:
    names = list(dict.fromkeys((config.localpart_claim, *_GUEST_NAMES)))
    yield '{%- if claims["acct"] is defined and claims["acct"] is not none and claims["acct"] not in [0, "0"] -%}'
    yield f"{_REFUSE}{{%- endif -%}}"
    yield '{%- if claims["idp"] is defined and claims["idp"] is not none -%}'
    yield f'{{%- if claims["idp"] is not string or claims["idp"] != claims["iss"] -%}}{_REFUSE}{{%- endif -%}}'
    yield "{%- endif -%}"
    yield f"{{%- for name in {_text(names)} -%}}"
    yield f'{{%- if claims[name] is string and "#ext#" in claims[name] | lower -%}}{_REFUSE}{{%- endif -%}}'
    yield "{%- endfor -%}"


def _role_gate(config: MappingConfig) -> Iterable[str]:
    # What begins with `/` is a group; Keycloak's groups all do (`mapping/roles.py`).
    roles = sorted(role for role in config.required_roles if not role.startswith("/"))
    for path in config.roles_paths:
        yield from _look_for(path, roles)
    if config.groups_path is not None:
        groups = sorted(
            role for role in config.required_roles if config.preset is not Preset.KEYCLOAK or role.startswith("/")
        )
        yield from _look_for(config.groups_path, groups)
    yield f"{{%- if not here.held -%}}{_REFUSE}{{%- endif -%}}"


def _look_for(path: ClaimPath, wanted: Sequence[str]) -> Iterable[str]:
    yield "{%- set here.found = claims -%}"
    yield f"{{%- for name in {_text(path)} -%}}"
    yield "{%- set here.found = here.found[name] if here.found is mapping else none -%}"
    yield "{%- endfor -%}"
    yield '{%- if here.found is sequence and here.found | reject("string") | list | length == 0 -%}'
    yield f"{{%- for role in here.found if role in {_text(wanted)} -%}}"
    yield "{%- set here.held = true -%}"
    yield "{%- endfor -%}"
    yield "{%- endif -%}"


def _localpart(config: MappingConfig, room: int) -> Iterable[str]:
    before_at = ' | split("@") | first | trim' if PRESETS[config.preset].before_at else ""
    compose = "".join(f" | replace({_text(apart)}, {_shown(letter)})" for apart, letter in composed_umlauts())
    yield '{%- set here = namespace(refused=false, text="", piece="", after_letter=false, only_digits=true) -%}'
    yield f"{{%- set written = claims[{_text(config.localpart_claim)}] -%}}"
    yield f"{{%- if written is string and written | length <= {LONGEST_LOGIN_NAME} -%}}"
    yield f"{{%- for c in written -%}}{_for_range(INVISIBLE, _REFUSE)}{{%- endfor -%}}"
    yield f"{{%- set name = written | trim{before_at} -%}}"
    yield f'{{%- for c in name | lower | split | join("."){compose} -%}}'
    yield f"{{%- set mark = namespace(here=false) -%}}{_for_range(MARKS, '{%- set mark.here = true -%}')}"
    yield "{#- A mark behind a Latin letter goes: what it makes of the letter is in the table. -#}"
    yield '{%- if mark.here and here.after_letter -%}{%- set here.piece = "" -%}'
    yield "{%- else -%}"
    yield '{%- set here.after_letter = c in "abcdefghijklmnopqrstuvwxyz" -%}'
    yield "{%- set here.piece = c -%}"
    yield '{%- if not here.after_letter and c not in "0123456789._+-" -%}'
    yield "{#- Every other character by its bytes in UTF-8. -#}"
    yield '{%- set here.piece = "=2f" if c == "/" else "=7e" if c == "~"'
    yield '    else c | urlencode | replace("%", "=") | lower -%}'
    yield "{%- for ascii, letters in ["
    yield from (f"    [{_text(written)}, {_shown(letters)}]," for written, letters in letters_in_ascii())
    yield "] if c in letters -%}"
    yield "{%- set here.piece = ascii -%}{%- set here.after_letter = true -%}"
    yield "{%- endfor -%}"
    yield "{%- endif -%}"
    yield "{%- endif -%}"
    yield '{%- if here.piece != "" and here.piece not in "0123456789" -%}'
    yield "{%- set here.only_digits = false -%}{%- endif -%}"
    yield "{%- set here.text = here.text ~ here.piece -%}"
    yield "{%- endfor -%}"
    yield '{%- if here.text == "" -%}' + _REFUSE
    yield '{%- elif here.text[0] == "_" -%}{%- set here.text = "=5f" ~ here.text[1:] -%}'
    yield '{%- elif here.only_digits -%}{%- set here.text = "u" ~ here.text -%}'
    yield "{%- endif -%}"
    yield f"{{%- if not here.refused and here.text | length <= {room} -%}}{{{{ here.text }}}}{{%- endif -%}}"
    yield "{%- endif -%}"


def _display_name(config: MappingConfig) -> Iterable[str]:
    yield '{%- set here = namespace(text="", piece="", seen=false) -%}'
    yield f"{{%- set written = claims[{_text(config.display_name_claim)}] -%}}"
    yield "{%- if written is string -%}"
    yield f"{{%- for c in written[:{16 * LONGEST_DISPLAY_NAME}] -%}}"
    yield "{%- set here.piece = c -%}"
    yield f'{{%- if c in {_text(LINE_ENDS)} -%}}{{%- set here.piece = " " -%}}'
    yield '{%- elif c not in "\\u200c\\u200d" -%}'
    yield _for_range((*INVISIBLE, *BLANK), '{%- set here.piece = "" -%}')
    yield "{%- endif -%}"
    yield "{%- set here.text = here.text ~ here.piece -%}"
    yield "{%- endfor -%}"
    yield f'{{%- set name = (here.text | split | join(" "))[:{LONGEST_DISPLAY_NAME}].rstrip(" \\u200c\\u200d") -%}}'
    yield "{#- A name of nothing but marks and joiners shows nothing. -#}"
    yield "{%- for c in name -%}"
    yield f"{{%- set mark = namespace(here=c == ' ') -%}}{_for_range(UNSEEN_ALONE, '{%- set mark.here = true -%}')}"
    yield "{%- if not mark.here -%}{%- set here.seen = true -%}{%- endif -%}"
    yield "{%- endfor -%}"
    yield "{%- if here.seen -%}{{ name }}{%- endif -%}"
    yield "{%- endif -%}"


def _email(config: MappingConfig) -> Iterable[str]:
    trusted = ' and claims["email_verified"] is true' if config.trust_email is None else ""
    yield "{%- set here = namespace(refused=false) -%}"
    yield f"{{%- set written = claims[{_text(config.email_claim)}] -%}}"
    yield f"{{%- if written is string and written | length <= {LONGEST_EMAIL}{trusted} -%}}"
    yield '{%- set halves = written | lower | split("@") | list -%}'
    yield f'{{%- if halves | length == 2 and halves[0] != "" and halves[0] | length <= {LONGEST_LOCAL_PART} -%}}'
    yield "{#- Plain characters of ASCII only. -#}"
    yield """{%- for c in halves[0] if c not in "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~.-" -%}"""
    yield f"{_REFUSE}{{%- endfor -%}}"
    yield '{%- for label in halves[1] | split(".") -%}'
    yield f'{{%- if label == "" -%}}{_REFUSE}{{%- endif -%}}'
    yield '{%- for c in label if c not in "abcdefghijklmnopqrstuvwxyz0123456789_-" -%}' + f"{_REFUSE}{{%- endfor -%}}"
    yield "{%- endfor -%}"
    yield '{%- if not here.refused -%}{{ halves | join("@") }}{%- endif -%}'
    yield "{%- endif -%}"
    yield "{%- endif -%}"


def _for_range(ranges: Sequence[tuple[str, str]], action: str) -> str:
    """A piece of template that does something when the character `c` is in one of some ranges."""
    return f"{{%- for first, last in {_text(ranges)} if first <= c and c <= last -%}}{action}{{%- endfor -%}}"


def _text(value: object) -> str:
    """A literal of a template, in ASCII: MiniJinja reads JSON."""
    return json.dumps(value, ensure_ascii=True)


def _shown(letters: str) -> str:
    """A literal with letters as they are, to be read by people."""
    return json.dumps(letters, ensure_ascii=False)


def _lines(*lines: str) -> str:
    return "\n".join(lines)
