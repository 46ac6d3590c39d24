"""When Synapse asks a mapping provider for a name, and what it does with one that no account can have.

Run on Synapse 1.133.0 and 1.163.2: `synapse/handlers/sso.py` (`complete_sso_login_request`, `_register_mapped_user`),
`synapse/types/__init__.py` (`contains_invalid_mxid_characters`).
"""

from typing import Final

from synapse.module_api import ModuleApi

NOBODYS_NAME: Final = "Your account has been made this moment; log in once more"
"""No account can have it, for its spaces alone. Synapse ignores it for somebody of whom it knows an account, and
refuses to register anybody with it; then it is read on the page, so it is a sentence."""


def asks_for_known_people(api: ModuleApi) -> bool:
    """Whether Synapse asks for the name also of people who have an account (`sso.update_profile_information`)."""
    return bool(api._hs.config.sso.sso_update_profile_information)
