"""What the templates of the Matrix Authentication Service (MAS) can't do: each rule of the mapping that does not hold.

Nobody shall believe that a rule holds because it did before the move. Each has a name, which documentation and tests
use.
"""

from enum import Enum

import attr

from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.preset import PRESETS


class Rule(Enum):
    """The names."""

    SUFFIX = "localpart-suffix"
    LONG_NAMES = "long-localparts"
    COMPOSITION = "unicode-composition"
    UNASSIGNED = "unassigned-characters"
    JSON_LIMITS = "json-limits"
    LOGIN_NAME = "login-name-at-later-logins"
    UPDATES = "updates-at-login"
    TAKEN_EMAIL = "taken-email"
    EMAIL_ALPHABET = "email-alphabet"
    ADMIN = "admin-roles"
    LINKS = "links-by-hand"
    PROVISIONING = "scim"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Unexpressed:
    """One rule that does not hold.

    Attributes:
        rule: which one.
        text: a sentence about what happens instead.
    """

    rule: Rule
    text: str


def unexpressed(config: MappingConfig, *, room: int, has_email: bool) -> tuple[Unexpressed, ...]:
    """List the rules of a mapping that don't hold with MAS.

    Args:
        config: of the mapping.
        room: the longest localpart that needs no suffix, in characters.
        has_email: whether addresses are taken over at all.
    """
    found = [
        Unexpressed(
            Rule.SUFFIX,
            "When a localpart is taken, our mapping appends a suffix made from the subject; MAS refuses the"
            " registration. Nobody gets an account that is there already, as long as `on_conflict` is `fail`.",
        ),
        Unexpressed(
            Rule.LONG_NAMES,
            f"Localparts with more than {room} characters, which our mapping cuts and suffixes, are refused.",
        ),
        Unexpressed(
            Rule.COMPOSITION,
            "Templates can't compose characters (Unicode NFC). Latin letters with a mark behind them, if they have"
            " a usual form in ASCII, are read right in localparts; other letters that come in pieces stay in pieces,"
            " there and in display names.",
        ),
        Unexpressed(
            Rule.UNASSIGNED,
            "Control, format and private characters are known to the templates as of Unicode 15; characters without a"
            " meaning are neither refused in login names nor taken out of display names, and a display name may"
            " consist of nothing but rare marks.",
        ),
        Unexpressed(
            Rule.JSON_LIMITS,
            "Claims nested deeper than 127 levels, or with numbers that fit into no floating-point number, are no"
            " readable token to MAS: the login is refused, where our mapping leaves such claims out.",
        ),
        Unexpressed(
            Rule.LOGIN_NAME,
            "The login name is read when an account is made. If it becomes unreadable later, logins go on.",
        ),
        Unexpressed(
            Rule.UPDATES,
            "Display name and e-mail address are taken over when an account is made, and never brought up to date.",
        ),
        Unexpressed(
            Rule.LINKS,
            "Somebody who is logged in to MAS by other means may link a person of the identity provider to his account"
            " by himself; our mapping links nobody to an account that is there already.",
        ),
        Unexpressed(
            Rule.PROVISIONING,
            "Whoever leaves is not ended by the SCIM routes of this package: lock or deactivate him through the admin"
            " API of MAS, and use its back-channel logout.",
        ),
    ]
    if PRESETS[config.preset].integer_subject:
        text = "Subjects that are whole numbers beyond 64 bits are refused, too."
        found = [attr.evolve(one, text=f"{one.text} {text}") if one.rule is Rule.JSON_LIMITS else one for one in found]
    if has_email:
        found += [
            Unexpressed(
                Rule.TAKEN_EMAIL,
                "When somebody has the e-mail address already, MAS refuses the registration; our mapping makes the"
                " account without the address.",
            ),
            Unexpressed(
                Rule.EMAIL_ALPHABET,
                "E-mail addresses with characters beyond ASCII are left out: templates can't fold their case.",
            ),
        ]
    if config.admin_roles:
        found.append(
            Unexpressed(
                Rule.ADMIN,
                f"Nobody becomes or ceases to be an administrator by role ({', '.join(sorted(config.admin_roles))}):"
                " say in MAS by hand who may ask for administration (`mas-cli manage promote-admin`).",
            )
        )
    return tuple(found)
