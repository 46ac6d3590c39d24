"""The stylesheet and the icon, with a hash of their content in their names: a browser may keep them for ever."""

import hashlib
from importlib import resources
from typing import Final

from synapse_bum.portal.addresses import STATIC, url
from synapse_bum.portal.reply import Reply

_TYPES: Final = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


class StaticFiles:
    """What is in `static/`."""

    def __init__(self) -> None:
        """Reads all files; they are few and small."""
        self._replies: dict[str, Reply] = {}
        self._names: dict[str, str] = {}
        for file in resources.files("synapse_bum.portal").joinpath("static").iterdir():
            stem, _dot, kind = file.name.rpartition(".")
            if kind in _TYPES:
                content = file.read_bytes()
                hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
                headers = {"Cache-Control": "public, max-age=31536000, immutable"}
                self._replies[hashed] = Reply(200, content, _TYPES[kind], headers)
                self._names[file.name] = hashed

    def address(self, name: str) -> str:
        """Returns the address of a file, for example of `portal.css`."""
        return url(f"{STATIC}/{self._names[name]}")

    def reply(self, hashed: str) -> Reply | None:
        """Returns the file with this name and hash, None when there is none."""
        return self._replies.get(hashed)
