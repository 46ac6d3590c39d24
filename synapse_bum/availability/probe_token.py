"""The secret of the probe: from the file of `probe_token_path`, otherwise made once and kept in our table."""

import re
import secrets
from typing import Final

from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.config import SetupError
from synapse_bum.secret_store import Secret, SecretStore, read_secret_file

_NAME: Final = "availability.probe_token"
_BYTES: Final = 32
_SHORTEST: Final = 20
_SENDABLE: Final = re.compile(r"[!-~]+", re.ASCII)


def read_probe_token(path: str) -> Secret:
    """Reads the secret that an operator put into a file.

    Raises:
        ConfigError: it can't be read or is empty.
        SetupError: what stands in it can be guessed, or can't be sent.
    """
    secret = read_secret_file(path, ("probe_token_path",))
    if len(secret.value) < _SHORTEST or not _SENDABLE.fullmatch(secret.value):
        raise SetupError(
            f"`config.probe_token_path`: `{path}` must hold one line of at least {_SHORTEST} ASCII characters without"
            " spaces; `openssl rand -hex 32` makes a good one"
        )
    return secret


class ProbeToken:
    """What the probe has to know to deliver results.

    Attributes:
        is_from_file: whether the operator chose it.
    """

    def __init__(self, config: AvailabilityConfig, store: SecretStore) -> None:
        """Reads the file where there is one.

        Raises:
            ConfigError: as `read_probe_token`.
            SetupError: the same.
        """
        path = config.probe_token_path
        self._store = store
        self.is_from_file = path is not None
        self._secret = None if path is None else read_probe_token(path)

    async def read(self) -> Secret:
        """Returns it."""
        if self._secret is None:
            self._secret = await self._store.get_or_create(_NAME, lambda: secrets.token_hex(_BYTES))
        return self._secret
