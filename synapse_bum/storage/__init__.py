"""Storage accounting: the pooled gigabytes, and the monthly invoice that anyone can recompute."""

from synapse_bum.storage.module import StorageModule

__all__ = ["StorageModule"]
