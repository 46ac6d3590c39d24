"""Changes by PATCH."""

from typing import Any

import pytest

from synapse_bum.oidc.scim.attributes import CORE_USER, ENTERPRISE_USER, OWN_USER
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import (
    InvalidFilterError,
    InvalidPathError,
    InvalidSyntaxError,
    InvalidValueError,
    MutabilityError,
    NoTargetError,
    ScimError,
)
from synapse_bum.oidc.scim.patches import PATCH_SCHEMA, apply_patch
from synapse_bum.oidc.scim.resources import ScimUser

WORK = Email("jg@work.example", "work", primary=True)
HOME = Email("jg@home.example", "home")
USER = ScimUser("jg", "42", "Jürgen Groß", "Jürgen", "Groß", (WORK, HOME))


def patched(*operations: Any, user: ScimUser = USER) -> ScimUser:  # noqa: ANN401 - any JSON
    return apply_patch(user, {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})


def op(kind: str, path: str | None = None, value: object = None) -> dict[str, object]:
    return {"op": kind, **({} if path is None else {"path": path}), "value": value}


def emails_after(*operations: dict[str, object], user: ScimUser = USER) -> tuple[Email, ...]:
    return patched(*operations, user=user).emails


@pytest.mark.parametrize("kind", ["add", "replace", "Replace", "ADD"])
@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("userName", "new", "user_name"),
        ("USERNAME", "new", "user_name"),
        (f"{CORE_USER}:userName", "new", "user_name"),
        ("externalId", "43", "external_id"),
        ("displayName", "New", "display_name"),
        ("name.givenName", "New", "given_name"),
        (f"{CORE_USER}:name.familyName", "New", "family_name"),
        ("active", False, "active"),
    ],
)
def test_a_simple_attribute_is_set(kind: str, path: str, value: object, field: str) -> None:
    changed = patched(op(kind, path, value))
    assert getattr(changed, field) == value
    assert changed != USER


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("externalId", "external_id"),
        ("displayName", "display_name"),
        ("name.givenName", "given_name"),
        ("name.familyName", "family_name"),
    ],
)
def test_an_attribute_is_removed(path: str, field: str) -> None:
    assert getattr(patched(op("remove", path)), field) is None
    assert getattr(patched(op("replace", path, None)), field) is None


def test_the_name_changes_as_a_whole_and_what_is_not_mentioned_stays() -> None:
    changed = patched(op("replace", "name", {"givenName": "Ada", "formatted": "Ada Groß"}))
    assert (changed.given_name, changed.family_name) == ("Ada", "Groß")
    assert patched(op("remove", "name")).shown_name == "Jürgen Groß"
    gone = patched(op("remove", "name"))
    assert (gone.given_name, gone.family_name) == (None, None)


@pytest.mark.parametrize("path", ["userName", "active", "ACTIVE", f"{CORE_USER}:active"])
def test_nobody_can_remove_what_every_user_has(path: str) -> None:
    with pytest.raises(MutabilityError):
        patched(op("remove", path))


@pytest.mark.parametrize("path", ["id", "schemas", "meta", "meta.created", "groups", f"{OWN_USER}:userId", OWN_USER])
@pytest.mark.parametrize("kind", ["add", "replace", "remove"])
def test_what_is_read_only_can_not_be_changed_by_its_path(kind: str, path: str) -> None:
    with pytest.raises(MutabilityError):
        patched(op(kind, path, "x"))


@pytest.mark.parametrize(
    "path",
    [
        "title",
        "nickName",
        "password",
        "phoneNumbers",
        'phoneNumbers[type eq "mobile"].value',
        'addresses[type eq "work"].streetAddress',
        'roles[primary eq "True"].value',
        "name.formatted",
        "name.middleName",
        "preferredLanguage",
        f"{ENTERPRISE_USER}:department",
        f"{ENTERPRISE_USER}:manager",
        f"{ENTERPRISE_USER}:manager.value",
        ENTERPRISE_USER,
        "urn:example:custom:2.0:User:worksite",
        'urn:ietf:params:scim:schemas:extension:Contoso:2.0:User:badges[type eq "door"].value',
        "urn:ietf:params:scim:schemas:extension:Contoso:2.0:User",
    ],
)
@pytest.mark.parametrize("kind", ["add", "replace", "remove"])
def test_attributes_that_are_not_kept_change_nothing(kind: str, path: str) -> None:
    assert patched(op(kind, path, "x")) == USER


@pytest.mark.parametrize(
    "path",
    [
        "favouriteColour",
        "title.x",
        "name.nick",
        "userName.value",
        "active.x",
        "emails.colour",
        'userName[type eq "x"]',
        'name[type eq "x"].givenName',
        f"{ENTERPRISE_USER}:favouriteColour",
        "department",
        CORE_USER,
        CORE_USER + ":",
        "",
        "emails[",
        "1",
        "x" * 3000,
    ],
)
def test_a_path_of_no_attribute_is_refused(path: str) -> None:
    with pytest.raises(InvalidPathError):
        patched(op("replace", path, "x"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("active", None),
        ("active", "perhaps"),
        ("active", 0),
        ("active", []),
        ("userName", None),
        ("userName", ""),
        ("userName", 5),
        ("displayName", {}),
        ("displayName", "x\x00"),
        ("name.givenName", ["x"]),
        ("emails", [{"value": "a@b", "primary": True}, {"value": "c@d", "primary": True}]),
        ("emails", [{"value": "a@b"}] * 21),
        ("emails.primary", True),
        ('emails[type eq "work"].value', 5),
        ('emails[type eq "new" and value eq 5]', {}),
    ],
)
def test_a_wrong_value_is_refused(path: str, value: object) -> None:
    with pytest.raises(InvalidValueError):
        patched(op("replace", path, value))


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"Operations": [op("replace", "active", value=False)]},
        {"schemas": [CORE_USER], "Operations": [op("replace", "active", value=False)]},
        {"schemas": [PATCH_SCHEMA]},
        {"schemas": [PATCH_SCHEMA], "Operations": []},
        {"schemas": [PATCH_SCHEMA], "Operations": {}},
        {"schemas": [PATCH_SCHEMA], "Operations": ["replace"]},
        {"schemas": [PATCH_SCHEMA], "Operations": [{"path": "active", "value": False}]},
        {"schemas": [PATCH_SCHEMA], "Operations": [op("move", "active")]},
        {"schemas": [PATCH_SCHEMA], "Operations": [{"op": ["replace"], "path": "active"}]},
        {"schemas": [PATCH_SCHEMA], "Operations": [op("replace", None, "no object")]},
        {"schemas": [PATCH_SCHEMA], "Operations": [op("replace", None, {"active": False, "Active": True})]},
        {
            "schemas": [PATCH_SCHEMA],
            "Operations": [op("replace", None, {"active": False, f"{CORE_USER}:active": True})],
        },
        {"schemas": [PATCH_SCHEMA], "Operations": [op("replace", None, {"active ": False, "active": True})]},
        {"schemas": [PATCH_SCHEMA], "Operations": [op("replace", "name", "no object")]},
        {"schemas": [PATCH_SCHEMA], "Operations": [op("add", "emails", "no object")]},
    ],
)
def test_what_is_no_patch_is_refused(body: object) -> None:
    with pytest.raises(InvalidSyntaxError):
        apply_patch(USER, body)


def test_too_many_operations_are_refused() -> None:
    assert not patched(*[op("replace", "active", value=False)] * 100).active
    with pytest.raises(InvalidValueError):
        patched(*[op("replace", "active", value=False)] * 101)


def test_one_wrong_operation_undoes_all() -> None:
    with pytest.raises(ScimError):
        patched(op("replace", "displayName", "New"), op("replace", "nonsense", 1))
    assert USER.display_name == "Jürgen Groß"


def test_operations_follow_each_other() -> None:
    changed = patched(
        op("add", "emails", {"value": "new@example.org", "type": "new"}),
        op("replace", 'emails[type eq "new"].value', "newer@example.org"),
        op("replace", "active", value=False),
        op("replace", "active", value=True),
    )
    assert changed.active
    assert changed.emails == (WORK, HOME, Email("newer@example.org", "new"))


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "displayName", "Jürgen Groß"),
        op("add", "emails", [{"value": "JG@work.example", "type": "Work"}]),
        op("replace", 'emails[type eq "work"].value', "jg@work.example"),
        op("remove", 'emails[type eq "other"]'),
        op("remove", "emails", [{"value": "unknown@example.org"}]),
        op("replace", "active", "True"),
        op("add", "emails", []),
        op("add", "emails", None),
        op("replace", "emails.display", "Work"),
        op("replace", None, {}),
    ],
)
def test_what_changes_nothing_leaves_an_equal_user(operation: dict[str, object]) -> None:
    assert patched(operation) == USER


class TestWithoutAPath:
    def test_keys_are_attributes_or_paths(self) -> None:
        changed = patched(
            op(
                "Replace",
                None,
                {
                    "displayName": "Ada",
                    "name.givenName": "Ada",
                    f"{CORE_USER}:name.familyName": "King",
                    'emails[type eq "work"].value': "ada@work.example",
                    "ACTIVE": "False",
                },
            )
        )
        assert changed == ScimUser(
            "jg", "42", "Ada", "Ada", "King", (Email("ada@work.example", "work", primary=True), HOME), active=False
        )

    def test_what_is_not_kept_read_only_or_unknown_is_ignored_and_the_rest_holds(self) -> None:
        changed = patched(
            op(
                "replace",
                None,
                {
                    "id": "x",
                    "schemas": [CORE_USER],
                    "meta": {},
                    "title": "Rat",
                    f"{ENTERPRISE_USER}:department": "IT",
                    ENTERPRISE_USER: {"division": "A"},
                    "urn:example:custom:2.0:User:worksite": "180",
                    "favouriteColour": "blue",
                    "active": False,
                },
            )
        )
        assert not changed.active
        assert changed.display_name == USER.display_name

    @pytest.mark.parametrize("key", ["", "act ive", CORE_USER, 'active[type eq "x"]'])
    def test_a_key_that_can_be_no_attribute_is_refused_rather_than_ignored(self, key: str) -> None:
        with pytest.raises(InvalidPathError):
            patched(op("replace", None, {key: False}))

    def test_there_is_nothing_to_remove(self) -> None:
        with pytest.raises(NoTargetError):
            patched(op("remove", None, {"active": True}))


class TestEmails:
    def test_addresses_are_added_to_those_that_are_there(self) -> None:
        new = [{"value": "a@b", "type": "other"}, {"value": "c@d"}]
        assert emails_after(op("add", "emails", new)) == (WORK, HOME, Email("a@b", "other"), Email("c@d"))
        assert emails_after(op("add", "emails", new[0])) == (WORK, HOME, Email("a@b", "other"))

    def test_a_new_primary_address_takes_the_place_of_the_old_one(self) -> None:
        was_primary = Email("jg@work.example", "work")
        assert emails_after(op("add", "emails", [{"value": "a@b", "primary": True}])) == (
            was_primary,
            HOME,
            Email("a@b", None, primary=True),
        )
        home = Email("jg@home.example", "home", primary=True)
        assert emails_after(op("replace", 'emails[type eq "home"].primary', "True")) == (was_primary, home)
        assert emails_after(op("add", "emails", [{**HOME.document(), "primary": True}])) == (was_primary, home)

    def test_the_list_is_replaced(self) -> None:
        assert emails_after(op("replace", "emails", [{"value": "a@b"}])) == (Email("a@b"),)
        assert emails_after(op("replace", "emails", {"value": "a@b"})) == (Email("a@b"),)
        assert emails_after(op("replace", "emails", [])) == ()
        assert emails_after(op("replace", "emails", None)) == ()

    @pytest.mark.parametrize("kind", ["add", "replace"])
    @pytest.mark.parametrize("where", ['type eq "work"', "primary eq true", 'primary eq "True"', 'value co "work"'])
    def test_the_selected_address_changes_and_no_other(self, kind: str, where: str) -> None:
        changed = emails_after(op(kind, f"emails[{where}].value", "new@work.example"))
        assert changed == (Email("new@work.example", "work", primary=True), HOME)

    @pytest.mark.parametrize("kind", ["add", "replace"])
    def test_what_the_filter_describes_is_added_where_it_selects_nothing(self, kind: str) -> None:
        path = 'emails[type eq "other"].value'
        assert emails_after(op(kind, path, "a@b")) == (WORK, HOME, Email("a@b", "other"))
        nobody = ScimUser("jg")
        assert emails_after(op(kind, path, "a@b"), user=nobody) == (Email("a@b", "other"),)
        assert emails_after(op(kind, "emails[primary eq true].value", "a@b"), user=nobody) == (
            Email("a@b", None, primary=True),
        )
        assert emails_after(op(kind, "emails.value", "a@b"), user=nobody) == (Email("a@b"),)
        assert emails_after(op(kind, 'emails[type eq "other"]', {"value": "a@b"})) == (
            WORK,
            HOME,
            Email("a@b", "other"),
        )

    def test_a_part_of_an_address_that_is_not_there_adds_nothing(self) -> None:
        assert emails_after(op("replace", 'emails[type eq "other"].primary', value=True)) == USER.emails

    @pytest.mark.parametrize(
        "where", ['type sw "o"', 'not (type eq "work") and value eq "x"', 'type eq "a" or type eq "b"']
    )
    def test_a_filter_that_selects_and_describes_nothing_is_refused(self, where: str) -> None:
        with pytest.raises(NoTargetError):
            emails_after(op("replace", f"emails[{where}].value", "a@b"), user=ScimUser("jg"))

    def test_add_keeps_the_other_parts_of_a_selected_address_and_replace_does_not(self) -> None:
        path, value = 'emails[type eq "work"]', {"value": "a@b"}
        assert emails_after(op("add", path, value))[0] == Email("a@b", "work", primary=True)
        assert emails_after(op("replace", path, value))[0] == Email("a@b")

    @pytest.mark.parametrize(
        ("operation", "left"),
        [
            (op("remove", "emails"), ()),
            (op("remove", "emails.value"), ()),
            (op("remove", 'emails[type eq "work"]'), (HOME,)),
            (op("remove", 'emails[type eq "work"].value'), (HOME,)),
            (op("replace", 'emails[type eq "work"].value', None), (HOME,)),
            (op("replace", 'emails[type eq "work"].value', ""), (HOME,)),
            (op("replace", 'emails[type eq "work"]', None), (HOME,)),
            (op("remove", "emails", [{"value": "JG@home.example"}]), (WORK,)),
            (op("remove", 'emails[type eq "home"].type'), (WORK, Email("jg@home.example"))),
            (op("remove", "emails.primary"), (Email("jg@work.example", "work"), HOME)),
        ],
    )
    def test_addresses_and_their_parts_are_removed(self, operation: dict[str, object], left: tuple[Email, ...]) -> None:
        assert emails_after(operation) == left

    def test_a_filter_compares_nothing_that_addresses_have_not(self) -> None:
        for kind in ("add", "replace", "remove"):
            with pytest.raises(InvalidFilterError):
                patched(op(kind, 'emails[colour eq "blue"].value', "a@b"), user=ScimUser("jg"))

    @pytest.mark.parametrize("path", ["emails", 'emails[type eq "type 20"].value'])
    def test_there_are_never_too_many(self, path: str) -> None:
        full = ScimUser("jg", emails=tuple(Email(f"a{i}@b", f"type {i}") for i in range(20)))
        with pytest.raises(InvalidValueError):
            patched(op("add", path, "new@b" if path.endswith("value") else {"value": "new@b"}), user=full)
