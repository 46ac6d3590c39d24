"""Requests that one server sends to another with its signature, made by a test in its name.

Source: Matrix server-server API, "Request Authentication".
"""

import http.client
import json
import ssl
from http import HTTPStatus
from typing import Any, Final

from signedjson.key import read_signing_keys
from signedjson.sign import sign_json

from synapse_bum.testing.federation import FederatingSynapse
from synapse_bum.testing.federation_requests import FederationRequest

_PATIENCE_S: Final = 30


def send_signed(origin: FederatingSynapse, destination: FederatingSynapse, request: FederationRequest) -> int:
    """Sends a request in the name of a homeserver.

    Args:
        origin: whose name and key sign; it need not run.
        destination: who is asked.
        request: what is asked.

    Returns:
        The status of the answer; 0 when the answer is 403 for another reason than the origin.
    """
    with (origin.directory / "signing.key").open() as file:
        (key,) = read_signing_keys(file)
    signed: dict[str, Any] = {
        "method": request.method,
        "uri": request.path,
        "origin": origin.server_name,
        "destination": destination.server_name,
    }
    if request.content is not None:
        signed["content"] = request.content
    signature = sign_json(signed, origin.server_name, key)["signatures"][origin.server_name][f"{key.alg}:{key.version}"]
    header = (
        f'X-Matrix origin="{origin.server_name}",destination="{destination.server_name}",'
        f'key="{key.alg}:{key.version}",sig="{signature}"'
    )
    body = None if request.content is None else json.dumps(request.content)
    context = ssl.create_default_context(cafile=str(destination.directory / "authority.pem"))
    connection = http.client.HTTPSConnection(destination.server_name, timeout=_PATIENCE_S, context=context)
    try:
        headers = {"Authorization": header, "Content-Type": "application/json"}
        connection.request(request.method, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status == HTTPStatus.FORBIDDEN and b"Federation denied" not in content:
        return 0
    return answer.status
