"""`Saying`: a sentence of the catalogue, and how grave it is. Pure."""

from collections.abc import Mapping

import attr


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Saying:
    """A sentence of the catalogue.

    Attributes:
        key: of the sentence.
        values: for it.
        kind: of the notice that it is shown in: `success`, `info`, `warning` or `error`.
    """

    key: str
    values: Mapping[str, object] = attr.ib(factory=dict)
    kind: str = "warning"
