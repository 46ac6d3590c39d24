"""How a mapping provider refuses somebody: the sentence is shown in the browser.

Run on Synapse 1.133.0 and 1.163.2: `synapse/handlers/sso.py`. Any other exception of a mapping provider ends in a 500.
"""

from synapse.handlers.sso import MappingException


def refusal(sentence: str) -> Exception:
    """The exception that ends a login or a confirmation with a page.

    Args:
        sentence: for the person who wants to log in.
    """
    return MappingException(sentence)
