"""`GET B/portal/configuration`: what is in force, for administrators. No secret, path or password is in it."""

from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.homeserver.settings_in_force import LoadedModule, ServerSetting, loaded_modules, server_settings
from synapse_bum.portal.configuration.allowed import allowed_of
from synapse_bum.portal.configuration.shown import settings_of
from synapse_bum.rest import Answer, ApiRequest, Routes


class ConfigurationApi:
    """The handler; every process reads the same homeserver.yaml and answers from its own."""

    def __init__(self, api: ModuleApi) -> None:
        """Takes the homeserver's module API."""
        self._api = api

    def add_to(self, routes: Routes) -> None:
        """Adds the route."""
        routes.add("GET", "portal/configuration", self.configuration)

    async def configuration(self, _request: ApiRequest) -> Answer:
        """The modules with their settings, and those of Synapse."""
        loaded = loaded_modules(self._api)
        return Answer(
            {
                "modules": [found for module in loaded if (found := _of_ours(module)) is not None],
                "other_modules": [module.name for module in loaded if not _is_ours(module)],
                "synapse": [_setting(setting) for setting in server_settings(self._api)],
            }
        )


def _is_ours(module: LoadedModule) -> bool:
    return module.name.startswith("synapse_bum.")


def _of_ours(module: LoadedModule) -> dict[str, Any] | None:
    if not _is_ours(module):
        return None
    allowed = allowed_of(module.name)
    settings = settings_of(module.config, {} if allowed is None else allowed.units)
    return {
        "module": module.name,
        "name": None if allowed is None else allowed.name,
        "settings": [setting.as_json() for setting in settings.shown],
        "hidden": list(settings.hidden),
    }


def _setting(setting: ServerSetting) -> dict[str, Any]:
    value = list(setting.value) if isinstance(setting.value, tuple) else setting.value
    return {"key": setting.key, "value": value, "unit": setting.unit, "known": setting.is_known}
