"""Typed readers of claims: what an identity provider sends is anything that JSON can hold."""

from collections.abc import Mapping


class ClaimError(Exception):
    """A claim can't be used; the text is a sentence that names the claim, never its value."""


def text_claim(claims: Mapping[str, object], name: str) -> str | None:
    """Reads a text.

    Args:
        claims: of a person.
        name: of the claim.

    Returns:
        None when the claim is missing or null.

    Raises:
        ClaimError: it is something else than text.
    """
    value = claims.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ClaimError(f"The claim `{name}` is no text")
