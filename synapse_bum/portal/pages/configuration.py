"""The configuration in force, for reading only: ours and what matters of Synapse's."""

from typing import Any

import attr

from synapse_bum.portal.configuration.allowed import ALLOWED
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.setting_values import value_text
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SettingRow:
    """One line of a table.

    Attributes:
        key: as in the file.
        name: key of its name in the catalogue; None for a setting that nobody has named.
        value: as the reader understands it; None where this Synapse does not tell.
        is_changed: whether the operator has set something else than the default.
    """

    key: str
    name: str | None
    value: str | None
    is_changed: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Section:
    """The settings of one module, or of Synapse.

    Attributes:
        name: key of its heading in the catalogue; None for a module that nobody has named.
        module: dotted name of its class; empty for Synapse.
        rows: its settings.
        hidden: keys that are set but not shown.
    """

    name: str | None
    module: str
    rows: tuple[SettingRow, ...]
    hidden: tuple[str, ...]

    @property
    def id(self) -> str:
        """Of its table in the page."""
        return (self.name or self.module).replace(".", "-")


async def _show(visit: Visit) -> Reply:
    answer = await visit.server.get(BUM + "/portal/configuration")
    rows = tuple(_row(visit, "synapse", setting) for setting in answer["synapse"])
    sections = [Section("configuration.module_synapse", "", rows, ())]
    sections += [_section(visit, module) for module in answer["modules"]]
    loaded = {module["name"] for module in answer["modules"]}
    return visit.show(
        "configuration/settings.html",
        sections=sections,
        other_modules=answer["other_modules"],
        not_loaded=[f"configuration.module_{allowed.name}" for allowed in ALLOWED if allowed.name not in loaded],
    )


def _section(visit: Visit, module: dict[str, Any]) -> Section:
    name = module["name"]
    rows = tuple(_row(visit, name, setting) for setting in module["settings"])
    return Section(name and f"configuration.module_{name}", module["module"], rows, tuple(module["hidden"]))


def _row(visit: Visit, module: str, setting: dict[str, Any]) -> SettingRow:
    name = f"configuration.setting.{module}.{setting['key']}"
    is_known = setting.get("known", True)
    return SettingRow(
        setting["key"],
        name if name in visit.t else None,
        value_text(setting["value"], setting["unit"], visit.t, visit.formats) if is_known else None,
        setting.get("is_default") is False,
    )


PAGES = (Page("configuration", area=Area.APPLICATION, title="configuration.title", show=_show, menu=40),)
