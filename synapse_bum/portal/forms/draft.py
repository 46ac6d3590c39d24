"""What a browser wanted when its session was over: the page, and what stood in its form. Sealed into the login page.

Passwords are left out.
"""

import secrets
from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.portal.forms.form_data import FormData
from synapse_bum.portal.forms.form_token import FIELD
from synapse_bum.portal.sessions.sealing import Sealer

_PURPOSE: Final = "draft"
_MAX_AGE_MS: Final = 86_400_000
_SECRET: Final = "password"  # noqa: S105 - part of the name of a field


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Draft:
    """What was wanted.

    Attributes:
        location: path and query.
        user_id: who filled in the form; None when there was none.
        fields: by name; None when there was no form.
        kept_as: name of the form in `kept_drafts.py`, random; None when there was no form.
    """

    location: str
    user_id: str | None = None
    fields: Mapping[str, str] | None = attr.ib(default=None, repr=False)
    kept_as: str | None = None

    @classmethod
    def of_form(cls, location: str, user_id: str, form: FormData) -> "Draft":
        """Keeps a form that came too late."""
        kept = {name: value for name, value in form.fields.items() if name != FIELD and _SECRET not in name}
        return cls(location, user_id, kept, secrets.token_urlsafe(18))

    def without_form(self) -> "Draft":
        """What is short enough for an address: it only says where the form is kept."""
        return Draft(self.location, kept_as=self.kept_as)

    @classmethod
    def open(cls, sealed: str, sealer: Sealer, now_ms: int) -> "Draft | None":
        """Opens what a login page brought back; None when it is none of ours, or too old."""
        content = sealer.open(_PURPOSE, sealed, now_ms, _MAX_AGE_MS) if sealed else None
        return None if content is None else cls(**content)

    def seal(self, sealer: Sealer, now_ms: int) -> str:
        """Seals it for a hidden field."""
        return sealer.seal(_PURPOSE, attr.asdict(self), now_ms)

    def fields_of(self, user_id: str) -> Mapping[str, str] | None:
        """What this user had typed; None for everybody else."""
        return self.fields if self.user_id == user_id else None
