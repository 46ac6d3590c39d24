"""What is kept of a form whose session has ended."""

from cryptography.fernet import Fernet

from synapse_bum.portal.forms.draft import Draft
from synapse_bum.portal.forms.form_data import FormData
from synapse_bum.portal.sessions.sealing import Sealer


def test_no_password_and_no_token_is_kept_not_even_sealed() -> None:
    names = ("password", "new_password", "new_password_again", "passwords", "_form")
    form = FormData({**dict.fromkeys(names, "hunter2"), "name": "erika"})
    draft = Draft.of_form("/users/new", "@boss:test", form)
    assert draft.fields == {"name": "erika"}
    sealer = Sealer([Fernet(Fernet.generate_key())])
    again = Draft.open(draft.seal(sealer, 1_000), sealer, 1_000)
    assert again == draft
    assert again.fields_of("@carol:test") is None
