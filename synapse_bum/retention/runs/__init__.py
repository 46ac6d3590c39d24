"""Runs of the retention: their records, and the duty that carries them out."""
