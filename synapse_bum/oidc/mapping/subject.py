"""Who a person is: the one name that an identity provider never gives to somebody else.

Sources: OpenID Connect Core 1.0 section 2 (`sub`: at most 255 characters, compared by case); Microsoft identity
platform, "Secure applications and APIs by validating claims" (`tid` and `oid` together).
"""

import re
from collections.abc import Mapping
from typing import Final

from synapse_bum.oidc.mapping.claims import ClaimError
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.preset import PRESETS, Preset

_LONGEST: Final = 255
_LARGEST: Final = 10**_LONGEST
_JOINT: Final = ":"
# Control characters, line and paragraph separators, surrogates: PostgreSQL takes no NUL and no surrogate, logs no line.
_UNUSABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_GUIDS: Final = frozenset({"tid", "oid"})


def subject_of(config: MappingConfig, claims: Mapping[str, object]) -> str:
    """Returns a person's subject, as it is stored in `user_external_ids.external_id`.

    Whether the person may come (tenant, roles) is not asked here: `decide` does.

    Args:
        config: of the identity provider.
        claims: what it says of the person.

    Returns:
        1 to 255 characters without control characters. Several claims are joined with `:`; none of them may hold one
        then, so that two different people never have the same subject.

    Raises:
        ClaimError: a claim is missing, of the wrong type, or can't be stored; the sentence names the claim.
    """
    names = config.subject_claims
    parts = [_part(config.preset, claims, name) for name in names]
    if len(parts) > 1:
        for name, part in zip(names, parts, strict=True):
            if _JOINT in part:
                raise ClaimError(f"The claim `{name}` holds a colon, which separates the parts of the subject")
    subject = _JOINT.join(parts)
    if len(subject) > _LONGEST:
        raise ClaimError(f"The subject ({_listed(names)}) has more than {_LONGEST} characters")
    return subject


def _part(preset: Preset, claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if PRESETS[preset].integer_subject and isinstance(value, int) and not isinstance(value, bool):
        if not -_LARGEST < value < _LARGEST:
            raise ClaimError(f"The claim `{name}` is a number with more than {_LONGEST} digits")
        return str(value)
    if value is None:
        raise ClaimError(f"The claim `{name}`, which says who it is, is missing")
    if not isinstance(value, str):
        raise ClaimError(f"The claim `{name}`, which says who it is, is no text")
    if not value:
        raise ClaimError(f"The claim `{name}`, which says who it is, is empty")
    if len(value) > _LONGEST:
        raise ClaimError(f"The claim `{name}`, which says who it is, has more than {_LONGEST} characters")
    if _UNUSABLE.search(value):
        raise ClaimError(f"The claim `{name}`, which says who it is, holds control characters")
    return value.lower() if preset is Preset.ENTRA_ID and name in _GUIDS and value.isascii() else value


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
