"""The whole of homeserver.yaml, while Synapse reads `oidc_providers` from it.

Synapse gives a mapping provider only its own section, and refuses what does not go together after it has read them all,
in words that name nobody's remedy. What else stands in the file is found where Synapse holds it: in the frame of the
method that reads the section and, on its way, calls the provider's `parse_config`.

Run on Synapse 1.133.0 and 1.163.2.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synapse.config.oidc import OIDCConfig

if TYPE_CHECKING:
    from types import FrameType


def config_being_read() -> Mapping[str, Any] | None:
    """Find the configuration that Synapse is reading at this moment, in this thread.

    Returns:
        homeserver.yaml with all its sections, or None when `oidc_providers` is not being read, as in a tool that parses
        a provider's configuration by itself.
    """
    reading = OIDCConfig.read_config.__code__
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is reading:
            config = frame.f_locals.get("config")
            return config if isinstance(config, Mapping) else None
        frame = frame.f_back
    return None
