"""`synapse-bum check`: whether rooms can be published and found, and by whom."""

from typing import Any

import pytest

from synapse_bum.cli.check.directory import directory_remarks
from synapse_bum.cli.check.shapes import shape_remarks

ALLOWED: dict[str, Any] = {"room_list_publication_rules": [{"action": "allow"}]}


def found(homeserver: dict[str, Any]) -> list[str]:
    return [remark.check.value for remark in directory_remarks(homeserver)]


@pytest.mark.parametrize("homeserver", [{}, {"room_list_publication_rules": None}], ids=["missing", "null"])
def test_nobody_can_publish_a_room_unless_told_who_may(homeserver: dict[str, Any]) -> None:
    assert found(homeserver) == ["directory.publication"]


@pytest.mark.parametrize(
    "homeserver",
    [ALLOWED, {"room_list_publication_rules": []}, {"enable_room_list_search": False}],
    ids=["allowed", "nobody is to", "no search at all"],
)
def test_nothing_is_said_of_what_was_chosen(homeserver: dict[str, Any]) -> None:
    assert found(homeserver) == []


def test_rooms_are_for_those_who_have_an_account() -> None:
    assert found(ALLOWED | {"allow_public_rooms_without_auth": True}) == ["directory.everybody"]
    assert found(ALLOWED | {"allow_public_rooms_without_auth": False}) == []


def test_rooms_are_shown_to_partners_but_not_to_every_server() -> None:
    shown = ALLOWED | {"allow_public_rooms_over_federation": True}
    assert found(shown) == ["directory.federation"]
    assert found(shown | {"federation_domain_whitelist": None}) == ["directory.federation"]
    assert found(shown | {"federation_domain_whitelist": []}) == []


def test_rules_that_are_no_list() -> None:
    remarks = [remark.text for remark in shape_remarks({"room_list_publication_rules": {"action": "allow"}})]
    assert remarks == ["`room_list_publication_rules`: must be a list, not dict"]
