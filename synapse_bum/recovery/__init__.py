"""The recovery module: what was closed after a backup stays closed when that backup is restored."""

from synapse_bum.recovery.module import RecoveryModule

__all__ = ["RecoveryModule"]
