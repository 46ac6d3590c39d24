"""Scanning one file, and knowing what the scanners are worth: proofs, suspects, state."""
