"""Whether Synapse can send mail.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/config/emailconfig.py`, `synapse/handlers/send_email.py`. Without
a section `email` Synapse would try to send mail all the same: to port 25 of localhost, without a sender.
"""

from synapse.module_api import ModuleApi


def can_send_mail(api: ModuleApi) -> bool:
    """Whether homeserver.yaml has a section `email`; Synapse refuses one without a sender (`notif_from`)."""
    return api._hs.config.email.email_notif_from is not None
