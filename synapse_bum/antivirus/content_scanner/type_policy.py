"""`allowed_mimetypes` and `blocked_mimetypes`: which types of files the operator wants. Pure."""

from collections.abc import Iterable

import attr


@attr.s(auto_attribs=True, frozen=True, slots=True)
class TypePolicy:
    """Which MIME types are delivered by the content scanner.

    Attributes:
        allowed: only these, in lower case; None allows all that are not blocked.
        blocked: never these; None blocks none.
    """

    allowed: frozenset[str] | None
    blocked: frozenset[str] | None

    @classmethod
    def of(cls, allowed: Iterable[str] | None, blocked: Iterable[str] | None) -> "TypePolicy":
        """Make a policy from the two lists of the configuration."""
        return cls(
            None if allowed is None else frozenset(name.lower() for name in allowed),
            None if blocked is None else frozenset(name.lower() for name in blocked),
        )

    @property
    def looks_at_types(self) -> bool:
        """Whether the type of a file matters at all."""
        return self.allowed is not None or self.blocked is not None

    def permits(self, media_type: str) -> bool:
        """Whether a file of this type may be delivered.

        Args:
            media_type: of its content, in lower case.
        """
        if self.blocked is not None and media_type in self.blocked:
            return False
        return self.allowed is None or media_type in self.allowed
