"""What surrounds every page: templates with the catalogue, formats and addresses at hand.

Names that every template knows: `t` and `lines` (catalogue), `url`, `static`, `server_name`, `language`,
`show_activity`, `menu`, and what is in `View`. Filters: `number`, `percent`, `size`, `money`, `date`, `time`,
`machine_time`, `duration`, and `isolated` for what others have written (`bidi.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attr
from jinja2 import Environment, PackageLoader, StrictUndefined

from synapse_bum.portal.addresses import url
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.language.bidi import isolated
from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import Texts, load
from synapse_bum.portal.static_files import StaticFiles


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MenuEntry:
    """A link of the menu.

    Attributes:
        area: to which of the portals it belongs.
        path: of the page.
        title: key of its title.
    """

    area: str
    path: str
    title: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Notice:
    """What is said once on the next page.

    Attributes:
        kind: `success`, `info` or `warning`.
        text: the sentence itself.
    """

    kind: str
    text: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class View:
    """What a template knows of the page it is for.

    Attributes:
        title: the heading.
        area: which part of the menu is open; empty for none.
        path: of the page, to mark it in the menu.
        me: user id of who is logged in; None before the login.
        may_operate: whether he may do what is reserved to operators.
        form_token: makes the token of one form.
        notice: None for none.
        auto_refresh: address of this page without loading itself anew; None when it does not do that.
        here: address of this page; forms are sent there unless they say otherwise.
    """

    title: str
    area: str = ""
    path: str = ""
    me: str | None = None
    may_operate: bool = False
    form_token: Callable[[], str] = str
    notice: Notice | None = None
    auto_refresh: str | None = None
    here: str = ""


def _areas(menu: Sequence[MenuEntry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.area for entry in menu))


class Frame:
    """The templates of one portal."""

    def __init__(self, config: PortalConfig, server_name: str, menu: Sequence[MenuEntry]) -> None:
        """Reads catalogue and stylesheet; templates are read when they are first used."""
        language = config.language.value
        self.formats = Formats(language)
        self.texts = Texts(load(language), self.formats.number)
        self.static = StaticFiles()
        self._templates = Environment(
            loader=PackageLoader("synapse_bum.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(
            {
                name: getattr(self.formats, name)
                for name in ("number", "percent", "size", "money", "date", "time", "machine_time", "duration")
            }
            | {"isolated": isolated}
        )
        self._templates.globals.update(
            t=self.texts,
            lines=self.texts.lines,
            url=url,
            static=self.static.address,
            menu=tuple(menu),
            first_of_area=tuple({entry.area: entry for entry in reversed(menu)}[area] for area in _areas(menu)),
            language=language,
            server_name=server_name,
            show_activity=config.show_activity,
            support_email=config.support.email,
            foot_links=config.links,
        )

    def render(self, template: str, view: View, values: Mapping[str, Any]) -> bytes:
        """Returns a whole page as UTF-8.

        Args:
            template: its file below `templates/`.
            view: what is around the page.
            values: for the template; a name that is missing there is an error.
        """
        context = {**attr.asdict(view, recurse=False), **values}
        return self._templates.get_template(template).render(context).encode()
