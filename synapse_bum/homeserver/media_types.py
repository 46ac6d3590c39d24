"""Types of Synapse's media repository that callbacks get.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/_base.py`, `synapse/media/media_storage.py`.
"""

from synapse.media._base import FileInfo
from synapse.media.media_storage import ReadableFileWrapper

__all__ = ["FileInfo", "ReadableFileWrapper"]
