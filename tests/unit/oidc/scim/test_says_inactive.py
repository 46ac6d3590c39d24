"""Whether a request ends access: read apart from the rest of it, which may be wrong."""

from typing import Any

import pytest

from synapse_bum.oidc.scim.attributes import CORE_USER, OWN_USER
from synapse_bum.oidc.scim.patches import PATCH_SCHEMA, patch_says_inactive
from synapse_bum.oidc.scim.resources import put_says_inactive


def op(kind: str, path: str | None = None, value: object = None) -> dict[str, object]:
    return {"op": kind, **({} if path is None else {"path": path}), "value": value}


def body(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"schemas": [CORE_USER], "userName": "jg", **members}


ENDS = op("replace", "active", "False")


@pytest.mark.parametrize(
    "operations",
    [
        [ENDS],
        [op("Add", None, {"ACTIVE": False, "userName": 5, "": 1})],
        [op("replace", f"{CORE_USER}:active", value=False)],
        [op("replace", "active", value=True), ENDS],
        *([ENDS, wrong] for wrong in ("nonsense", op("move", "title"), op("replace", "userName", "\x00"))),
        *([op("replace", path, "x"), ENDS] for path in ("nonsense", "id", "emails[", "emails.value")),
    ],
)
def test_access_ends_whatever_is_wrong_with_the_rest_of_a_patch(operations: list[object]) -> None:
    assert patch_says_inactive({"schemas": [PATCH_SCHEMA], "Operations": operations})


@pytest.mark.parametrize(
    "operations",
    [
        [op("replace", "active", value=True)],
        [ENDS, op("replace", "active", value=True)],
        [op("replace", "displayName", "New")],
        [op("replace", None, {"active": False, "Active": True})],
        [ENDS, op("replace", "active", "perhaps")],
        [op("remove", "active")],
        [op("replace", 'active[type eq "x"]', value=False)],
        [op("replace", f"{OWN_USER}:active", value=False)],
        [op("replace", None, "no object")],
        [],
    ],
)
def test_what_a_patch_does_not_clearly_say_ends_nothing(operations: list[object]) -> None:
    assert not patch_says_inactive({"schemas": [PATCH_SCHEMA], "Operations": operations})
    assert not patch_says_inactive({"Operations": [*operations, ENDS]})


@pytest.mark.parametrize("active", [False, "False"])
def test_access_ends_whatever_is_wrong_with_the_rest_of_a_put(active: object) -> None:
    assert put_says_inactive(body(Active=active))
    assert put_says_inactive(body(active=active, userName=5, emails="nonsense", name=[], externalId="\x00"))


@pytest.mark.parametrize("active", [True, "true", None, "perhaps", 0, []])
def test_what_a_put_does_not_clearly_say_ends_nothing(active: object) -> None:
    assert not put_says_inactive(body(active=active))


def test_what_is_no_user_ends_nothing() -> None:
    wrong: list[object] = [body(), body(active=False, Active=False), {"active": False}, [], None, "active"]
    assert not any(map(put_says_inactive, wrong))
