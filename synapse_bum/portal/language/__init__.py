"""Texts, and numbers, sizes and times, in the language of the reader."""
