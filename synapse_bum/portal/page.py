"""What a page is. How to write one stands in docs; the shortest example is `pages/start.py`."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeAlias

import attr

from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit
from synapse_bum.rest.paths import Template

Handler: TypeAlias = Callable[[Visit], Awaitable[Reply]]


class Area(Enum):
    """The parts of the portal, each with its own menu."""

    START = "start"
    IDENTITIES = "identities"
    APPLICATION = "application"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """One address of the portal.

    Attributes:
        path: below the portal, for example `users/{user_id}`; the parameters are those of
            `synapse_bum.rest.paths.VALIDATORS`.
        area: in whose menu it is found.
        title: key of its heading in the catalogue.
        show: answers GET. Must change nothing.
        submit: answers POST, after the form has proved to be ours and to be sent for the first time.
        menu: its place in the menu of its area, smallest first; None for a page that others link to.
        operators: whether only `operator_users` see it at all.
    """

    path: str
    area: Area = attr.ib(kw_only=True)
    title: str = attr.ib(kw_only=True)
    show: Handler = attr.ib(kw_only=True)
    submit: Handler | None = attr.ib(kw_only=True, default=None)
    menu: int | None = attr.ib(kw_only=True, default=None)
    operators: bool = attr.ib(kw_only=True, default=False)
    template: Template | None = attr.ib(init=False, repr=False)

    @template.default
    def _parse(self) -> Template | None:
        return Template.parse(self.path) if self.path else None
