"""The one door to Synapse's private API.

Nothing outside this package imports Synapse internals or touches `ModuleApi._hs`. Each file is about one subject and
says which versions its functions were run on. What a feature needs is listed in `requirements.py` and checked at start.
"""
