"""Deleting messages and files when their time is over, provably."""

from synapse_bum.retention.module import RetentionModule

__all__ = ["RetentionModule"]
