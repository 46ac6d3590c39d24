"""Synapse's own retention settings, which would act against ours.

Run on Synapse 1.133.0 and 1.163.2: `synapse/config/repository.py`, `synapse/config/retention.py`.
"""

from collections.abc import Iterator

from synapse.module_api import ModuleApi


def contrary_settings(api: ModuleApi) -> Iterator[str]:
    """Sentences about what in homeserver.yaml keeps the promised lifetimes from being kept, with the remedy."""
    config = api._hs.config
    if config.retention.retention_enabled:
        yield (
            "`retention.enabled: true`: Synapse purges messages too, by depth instead of time, also younger ones, and"
            " several rooms at once; set it to false, this module purges messages"
        )
    # A process without the media repository does not read these settings; one with it warns.
    lifetimes = {
        key: getattr(config.media, f"media_retention_{key}_ms", None)
        for key in ("local_media_lifetime", "remote_media_lifetime")
    }
    for key, lifetime_ms in lifetimes.items():
        if lifetime_ms is not None:
            yield (
                f"`media_retention.{key}` is set: Synapse deletes files by their last access, also stickers, leaves"
                " copies at storage providers, and fetches remote files again; remove it, this module deletes files"
            )
