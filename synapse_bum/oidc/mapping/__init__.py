"""Which account, name, address and rights the claims of a person mean. Pure."""

from synapse_bum.oidc.mapping.claims import ClaimError
from synapse_bum.oidc.mapping.config import MappingConfig, MappingOptions, parse_mapping
from synapse_bum.oidc.mapping.decision import AdminClaim, Decision, decide
from synapse_bum.oidc.mapping.localpart import LocalpartError, candidate
from synapse_bum.oidc.mapping.preset import PRESETS, Preset, PresetRules
from synapse_bum.oidc.mapping.subject import subject_of

__all__ = [
    "PRESETS",
    "AdminClaim",
    "ClaimError",
    "Decision",
    "LocalpartError",
    "MappingConfig",
    "MappingOptions",
    "Preset",
    "PresetRules",
    "candidate",
    "decide",
    "parse_mapping",
    "subject_of",
]
