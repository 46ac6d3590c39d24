"""Scanners behind one small interface: `engine.py`."""
