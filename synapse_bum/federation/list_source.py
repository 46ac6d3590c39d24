"""Getting the signed list and its keys, whatever their place does: too much, nothing, something else."""

from io import BytesIO
from pathlib import Path
from typing import Final

from synapse.module_api import ModuleApi
from synapse.module_api.errors import SynapseError

from synapse_bum.federation.signed_list import MAX_BYTES, ListRefusedError
from synapse_bum.homeserver.time_limit import OutOfTimeError, within

_PATIENCE_S: Final = 60


async def fetch(api: ModuleApi, place: str) -> bytes:
    """Reads a file or an https address; redirections are not followed.

    Args:
        api: of the homeserver.
        place: absolute path, or address.

    Returns:
        At most one byte more than a list may have.

    Raises:
        ListRefusedError: it can't be had.
    """
    if place.startswith("/"):
        return await api.defer_to_thread(_read_file, place)
    output = BytesIO()
    try:
        await within(api, _PATIENCE_S, api.http_client.get_file, place, output, max_size=MAX_BYTES)
    except SynapseError as e:
        raise ListRefusedError(f"its source answered: {e.msg}") from None
    except OutOfTimeError:
        raise ListRefusedError(f"its source did not answer within {_PATIENCE_S} s") from None
    except Exception as e:  # noqa: BLE001 - the network and TLS have many
        raise ListRefusedError(f"its source could not be asked: {type(e).__name__}") from None
    return output.getvalue()


def _read_file(place: str) -> bytes:
    try:
        with Path(place).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as e:
        raise ListRefusedError(f"can't read `{place}`: {e.strerror}") from None
