"""Putting an order into the sample files: their example names and paths become those of the order. Pure.

Everything is replaced in one pass: what is put in is never looked at again, whatever its name.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from synapse_bum.cli.provision.order import Order

_SAMPLES: Final = "synapse_bum.cli.provision.samples"
_NAME_CHARACTER: Final = "[A-Za-z0-9.-]"


def sample(name: str) -> str:
    """Return the text of a file of `config-samples/`."""
    return (resources.files(_SAMPLES) / name).read_text(encoding="utf-8")


def filled(text: str, order: Order, more: Mapping[str, str] | None = None) -> str:
    """Replace the example names and paths in a text.

    Args:
        text: of a sample, or one value in it.
        order: what is provisioned.
        more: further replacements, by what stands in the sample.
    """
    replacements = {**_names(order), **_paths(order), **(more or {})}
    longest_first = sorted(replacements, key=len, reverse=True)
    # A name is replaced where it stands alone: not inside of a longer one.
    either = "|".join(
        re.escape(old) if "/" in old or "@" in old else rf"(?<!{_NAME_CHARACTER}){re.escape(old)}(?![A-Za-z0-9-])"
        for old in longest_first
    )
    return re.sub(either, lambda found: replacements[found[0]], text)


def filled_values(value: Any, order: Order) -> Any:  # noqa: ANN401 - what YAML holds
    """Replace the same in every text of a structure."""
    if isinstance(value, str):
        return filled(value, order)
    if isinstance(value, list):
        return [filled_values(one, order) for one in value]
    if isinstance(value, Mapping):
        return {key: filled_values(one, order) for key, one in value.items()}
    return value


def replaced(text: str, old: str, new: str) -> str:
    """Replace what stands in a sample exactly once.

    Raises:
        LookupError: the sample is no longer what this code knows.
    """
    if text.count(old) != 1:
        raise LookupError(f"a sample has {text.count(old)} times what must be there once: {old!r}")
    return text.replace(old, new)


def _names(order: Order) -> dict[str, str]:
    hosts = order.hosts
    return {
        "messenger.example": hosts.server,
        "matrix.messenger.example": hosts.public,
        "admin.messenger.example": hosts.admin,
        "desk@messenger.example": order.support_email,
        "noreply@messenger.example": order.mail_from,
        "unix:/run/clamav/clamd.ctl": order.scanner,
    }


def _paths(order: Order) -> dict[str, str]:
    folder = order.folder
    return {
        "/etc/matrix-synapse/log.yaml": f"{folder}/log.yaml",
        "/etc/matrix-synapse/messenger.example.signing.key": f"{folder}/secrets/signing.key",
        "/etc/matrix-synapse/": f"{folder}/secrets/",
        "/run/matrix-synapse/": f"{folder}/data/",
        "/var/lib/matrix-synapse/": f"{folder}/data/",
        "/var/log/matrix-synapse/deletions.jsonl": f"{folder}/records/deletions.jsonl",
        "/var/log/matrix-synapse/": f"{folder}/log/",
    }
