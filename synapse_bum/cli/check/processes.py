"""The processes that the files of `-c` make: main, and each worker whose file is among them. Pure.

Synapse gives a worker the files of main and behind them its own. So every file with `worker_app` is one process more,
and what stands in it holds for that process alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.configuration import Layer, merged
from synapse_bum.cli.check.remark import Remark, error, note, warning
from synapse_bum.cli.check.shapes import items, text

_MEDIA_APP: Final = "synapse.app.media_repository"
_WITH_CHOICE: Final = (None, "synapse.app.generic_worker")
"""Whose `enable_media_repo` counts (`read_config` of `synapse/config/repository.py`)."""

_SHARED: Final = (
    "server_name",
    "signing_key_path",
    "macaroon_secret_key",
    "macaroon_secret_key_path",
    "form_secret",
    "form_secret_path",
    "registration_shared_secret",
    "registration_shared_secret_path",
    "worker_replication_secret",
    "worker_replication_secret_path",
    "database",
    "databases",
    "max_upload_size",
    "media_store_path",
    "federation_domain_whitelist",
    "oidc_providers",
    "matrix_authentication_service",
)
"""What two processes of one homeserver may not see differently."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Process:
    """One process of the homeserver.

    Attributes:
        name: `main`, or the worker's.
        settings: what Synapse makes of its files.
        is_worker: whether it is one.
    """

    name: str
    settings: Mapping[str, Any]
    is_worker: bool

    @property
    def has_media(self) -> bool:
        """Whether it runs the media repository, and with it the scanner."""
        app = self.settings.get("worker_app")
        if app in _WITH_CHOICE:
            return self.settings.get("enable_media_repo", True) is not False
        return bool(app == _MEDIA_APP)

    @property
    def listeners(self) -> list[Any]:
        """Its own: those of main count for no worker."""
        return items(self.settings, "worker_listeners" if self.is_worker else "listeners")

    @property
    def log_config(self) -> str | None:
        """The path of its log configuration."""
        own = text(self.settings, "worker_log_config") if self.is_worker else None
        return own or text(self.settings, "log_config")


def processes_of(layers: Sequence[Layer]) -> list[Process]:
    """Main first, then the workers in the order of their files; a worker's file alone makes a worker alone."""
    of_workers = [layer for layer in layers if _is_worker(layer)]
    of_all = [layer for layer in layers if not _is_worker(layer)]
    found = [Process("main", merged(of_all), is_worker=False)] if of_all or not of_workers else []
    for own in of_workers:
        settings = merged([layer for layer in layers if layer is own or not _is_worker(layer)])
        found.append(Process(text(settings, "worker_name") or own.path.name, settings, is_worker=True))
    return found


def layer_remarks(layers: Sequence[Layer]) -> Iterator[Remark]:
    """What a later file takes away from an earlier one, or sees differently."""
    before: dict[str, Layer] = {}
    for layer in layers:
        for key, line in layer.twice:
            says = f"`{key}` stands twice; what stands before line {line} does not count"
            yield (error if key == "modules" else warning)(Check.KEY_TWICE, says, str(layer.path))
        earlier = before.get("modules")
        if earlier is not None and "modules" in layer.settings:
            kept = set(_our_modules(layer))
            lost = [name for name in _our_modules(earlier) if name not in kept]
            if lost:
                says = f"`modules` replaces the whole list of {earlier.path}; without {', '.join(dict.fromkeys(lost))}"
                yield error(Check.REPLACED_MODULES, says, str(layer.path))
        if _is_worker(layer):
            yield from _differences(layer, before)
        else:
            before.update(dict.fromkeys(layer.settings, layer))


def process_remarks(layers: Sequence[Layer], processes: Sequence[Process]) -> Iterator[Remark]:
    """Whether each process has a name of its own, and which of them has the media.

    Args:
        layers: the files.
        processes: that they make.
    """
    named: dict[str, Layer] = {}
    for layer in (layer for layer in layers if _is_worker(layer)):
        # What Synapse takes where no name is written (`synapse/config/workers.py`).
        name = text(layer.settings, "worker_name") or str(layer.settings["worker_app"])
        earlier = named.setdefault(name, layer)
        if earlier.path != layer.path:
            says = f"`worker_name` is `{name}`, as in {earlier.path}: two processes take each other's turns and locks"
            yield error(Check.PROCESS_NAME, says, str(layer.path))
    with_media = [process for process in processes if process.has_media]
    if not with_media:
        says = "none of these processes has the media: their folder and what is served there was not looked at"
        yield note(Check.MEDIA_UNSEEN, says)
    elif len(with_media) > 1 and not with_media[0].is_worker:
        says = f"main has the media beside {with_media[1].name}: it needs the same folder and the scanner too"
        yield warning(Check.TWO_MEDIA, says)


def _differences(worker: Layer, before: Mapping[str, Layer]) -> Iterator[Remark]:
    for key in _SHARED:
        earlier = before.get(key)
        if earlier is None or key not in worker.settings or worker.settings[key] == earlier.settings[key]:
            continue
        says = f"`{key}` is not what {earlier.path} has: this process would differ from the others"
        yield error(Check.SHARED_KEY, says, str(worker.path))
    earlier = before.get("modules")
    if earlier is None:
        return
    theirs = dict(_secret_paths(earlier))
    for place, path in _secret_paths(worker):
        if place in theirs and theirs[place] != path:
            says = f"`{place}` is not what {earlier.path} has: {path} instead of {theirs[place]}"
            yield error(Check.SHARED_KEY, says, str(worker.path))


def _our_modules(layer: Layer) -> list[str]:
    names = [entry.get("module") for entry in items(layer.settings, "modules") if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and name.startswith("synapse_bum.")]


def _secret_paths(layer: Layer) -> Iterator[tuple[str, str]]:
    """Every `..._path` of a secret in the configuration of our modules."""
    for entry in items(layer.settings, "modules"):
        if isinstance(entry, dict) and isinstance(entry.get("config"), dict):
            for place, path in _paths_in(entry["config"], str(entry.get("module")), depth=0):
                if place.endswith(("secret_path", "token_path", "key_path")):
                    yield place, path


def _paths_in(config: Mapping[Any, Any], place: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, str):
            yield f"{place}.{key}", value
        elif isinstance(value, dict) and depth < 4:
            yield from _paths_in(value, f"{place}.{key}", depth + 1)


def _is_worker(layer: Layer) -> bool:
    return layer.settings.get("worker_app") is not None
