"""The configuration for the Matrix Authentication Service as text: YAML with comments on what does not hold. Pure."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from synapse_bum.oidc.mas.provider import Upstream

_WIDTH: Final = 118
_HEAD: Final = (
    "For the configuration of the Matrix Authentication Service (MAS), 1.8 or newer: the same mapping as in"
    " homeserver.yaml, as far as MAS can express it."
)
_SUBJECT: Final = "Rendered at every login. It is empty for everybody who may not log in, and MAS refuses that."
_SKIPPED: Final = "Nobody may choose another name or address than the identity provider's."
_CONFLICT: Final = "Nothing else: an account that is there already is never given to somebody who comes with its name."


def mas_document(providers: Sequence[Upstream]) -> str:
    """Write the section `upstream_oauth2`.

    Args:
        providers: one for each identity provider.

    Returns:
        YAML in UTF-8, without a secret, with a line feed at its end.
    """
    lines = [*_comment(_HEAD), "upstream_oauth2:", "  providers:"]
    for provider in providers:
        lines += _provider(provider)
    return "\n".join(lines) + "\n"


def _provider(provider: Upstream) -> Iterator[str]:
    number = provider.options["id"]
    notes = [
        (
            "At the identity provider register of MAS, behind its `public_base`: the redirect URI"
            f" upstream/callback/{number} and, for back-channel logout, upstream/backchannel-logout/{number}"
        ),
        *(f"From Synapse: {remark}" for remark in provider.remarks),
        *(f"Does not hold ({one.rule.value}): {one.text}" for one in provider.unexpressed),
    ]
    for note in notes:
        yield from _indented(_comment(note, "- "), 4)
    body = [
        *_yaml(provider.options),
        "claims_imports:",
        *_indented(_imports(provider), 2),
    ]
    yield f"    - {body[0]}"
    yield from _indented(body[1:], 6)


def _imports(provider: Upstream) -> Iterator[str]:
    templates = provider.templates
    yield from _comment(_SKIPPED)
    yield "skip_confirmation: true"
    yield from _comment(_SUBJECT)
    yield from _section("subject", {}, templates.subject)
    yield from _section("localpart", {"action": "require"}, templates.localpart, comment=_CONFLICT, on_conflict="fail")
    yield from _section("displayname", {"action": "force"}, templates.display_name)
    if templates.email is None:
        yield from _section("email", {"action": "ignore"}, None)
    else:
        yield from _section("email", {"action": "force"}, templates.email)


def _section(
    name: str, options: Mapping[str, Any], template: str | None, *, comment: str = "", **more: str
) -> Iterator[str]:
    yield f"{name}:"
    yield from _indented(_yaml(options), 2)
    if comment:
        yield from _indented(_comment(comment), 2)
    yield from _indented(_yaml(more), 2)
    if template is not None:
        # A block keeps the lines as they are; the last line feed is left out, so that nothing follows the value.
        yield "  template: |-"
        yield from _indented(template.split("\n"), 4)


def _yaml(options: Mapping[str, Any]) -> list[str]:
    if not options:
        return []
    text: str = yaml.safe_dump(dict(options), sort_keys=False, allow_unicode=True, width=10_000)
    return text.rstrip("\n").split("\n")


def _comment(text: str, mark: str = "") -> list[str]:
    lines = textwrap.wrap(text, _WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return [f"# {mark if number == 0 else ' ' * len(mark)}{line}" for number, line in enumerate(lines)]


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]
