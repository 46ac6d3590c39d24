"""Where Synapse keeps data about a person with an account here, table by table; and where it does so and why we pass.

Messages are read elsewhere, in `personal_events.py`, and files in `personal_files.py`.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/schema/main`; a test compares both lists with the tables of a real
server. Compared with `AdminHandler.export_user_data` in `synapse/handlers/admin.py`.
"""

from collections.abc import Mapping
from typing import Final

from synapse_bum.homeserver.personal_source import Source

# Each goes by an index on the user, or by a unique one that begins with him, unless a line says what it reads.
SYNAPSE_SOURCES: Final = (
    Source(
        "account",
        "Konto",
        "users",
        (
            "name",
            "creation_ts",  # in seconds
            "admin",
            "is_guest",
            "appservice_id",
            "consent_version",
            "consent_ts",
            "consent_server_notice_sent",
            "user_type",
            "deactivated",
            "approved",
            "locked",
            "suspended",
            "shadow_banned",
        ),
        "name = :user",
    ),
    Source("erasure", "Antrag auf Löschung (erledigt)", "erased_users", ("user_id",)),
    Source("account_validity", "Gültigkeit des Kontos", "account_validity", ("expiration_ts_ms", "email_sent")),
    # The localpart has the unique index; the other name of the person was added later, and has one too.
    Source(
        "profile",
        "Profil",
        "profiles",
        ("displayname", "avatar_url", "fields"),
        "t.user_id = :localpart",
        json_columns=frozenset({"fields"}),
    ),
    Source(
        "user_directory", "Eintrag im Nutzerverzeichnis", "user_directory", ("room_id", "display_name", "avatar_url")
    ),
    Source(
        "addresses",
        "E-Mail-Adressen und Telefonnummern",
        "user_threepids",
        ("medium", "address", "validated_at", "added_at"),
    ),
    Source(
        "address_bindings",
        "Adressen bei Identitätsservern",
        "user_threepid_id_server",
        ("medium", "address", "id_server"),
    ),
    Source(
        "identity_providers",
        "Verknüpfungen mit dem Identitätsprovider",
        "user_external_ids",
        ("auth_provider", "external_id"),
    ),
    Source("devices", "Geräte", "devices", ("device_id", "display_name", "last_seen", "ip", "user_agent", "hidden")),
    Source(
        "device_keys",
        "Öffentliche Schlüssel der Geräte",
        "e2e_device_keys_json",
        ("device_id", "ts_added_ms", "key_json"),
        json_columns=frozenset({"key_json"}),
    ),
    Source(
        "cross_signing_keys",
        "Öffentliche Schlüssel der Person",
        "e2e_cross_signing_keys",
        ("keytype", "keydata"),
        json_columns=frozenset({"keydata"}),
    ),
    Source(
        "key_backups",
        "Sicherungen von Schlüsseln",
        "e2e_room_keys_versions",
        ("version", "algorithm", "deleted"),
    ),
    Source(
        "sessions",
        "Sitzungen",
        "access_tokens",
        ("device_id", "valid_until_ms", "last_validated", "puppets_user_id"),
    ),
    Source(
        "sessions_at_identity_providers",
        "Sitzungen beim Identitätsprovider",
        "device_auth_providers",
        ("device_id", "auth_provider_id"),
    ),
    Source("connections", "Verbindungen", "user_ips", ("device_id", "ip", "user_agent", "last_seen")),
    Source("daily_visits", "Tage der Nutzung", "user_daily_visits", ("device_id", "timestamp", "user_agent")),
    Source("monthly_use", "Letzte Nutzung im Monat", "monthly_active_users", ("timestamp",)),
    Source(
        "presence",
        "Anwesenheit",
        "presence_stream",
        (
            "state",
            "last_active_ts",
            "last_federation_update_ts",
            "last_user_sync_ts",
            "status_msg",
            "currently_active",
        ),
    ),
    Source(
        "pushers",
        "Benachrichtigungen an Geräte",
        "pushers",
        (
            "kind",
            "app_id",
            "app_display_name",
            "device_display_name",
            "device_id",
            "profile_tag",
            "ts",
            "lang",
            "data",
            "last_success",
            "failing_since",
            "enabled",
        ),
        "user_name = :user",
        json_columns=frozenset({"data"}),
    ),
    Source(
        "push_rules",
        "Regeln für Benachrichtigungen",
        "push_rules",
        ("rule_id", "priority_class", "priority", "conditions", "actions"),
        "user_name = :user",
        json_columns=frozenset({"conditions", "actions"}),
    ),
    Source(
        "push_rules_enabled",
        "Ein- und ausgeschaltete Benachrichtigungen",
        "push_rules_enable",
        ("rule_id", "enabled"),
        "user_name = :user",
    ),
    Source(
        "account_data",
        "Einstellungen der Person",
        "account_data",
        ("account_data_type", "content"),
        json_columns=frozenset({"content"}),
    ),
    Source(
        "room_account_data",
        "Einstellungen zu Räumen",
        "room_account_data",
        ("room_id", "account_data_type", "content"),
        json_columns=frozenset({"content"}),
    ),
    Source(
        "room_tags",
        "Markierungen von Räumen",
        "room_tags",
        ("room_id", "tag", "content"),
        json_columns=frozenset({"content"}),
    ),
    Source("ignored_users", "Ignorierte Personen", "ignored_users", ("ignored_user_id",), "ignorer_user_id = :user"),
    Source(
        "filters",
        "Filter der Anwendungen",
        "user_filters",
        ("filter_id", "filter_json"),
        "t.user_id = :localpart",
        json_columns=frozenset({"filter_json"}),
    ),
    Source(
        "receipts",
        "Lesebestätigungen",
        "receipts_linearized",
        ("room_id", "receipt_type", "event_id", "thread_id", "data"),
        json_columns=frozenset({"data"}),
    ),
    Source(
        "thread_subscriptions",
        "Abonnierte Unterhaltungen",
        "thread_subscriptions",
        ("room_id", "event_id", "subscribed", "automatic"),
    ),
    Source(
        "memberships",
        "Mitgliedschaften in Räumen",
        "room_memberships",
        ("room_id", "event_id", "sender", "membership", "forgotten", "display_name", "avatar_url"),
    ),
    # There are some hundred rows at most: messages that wait to be sent.
    Source(
        "delayed_messages",
        "Nachrichten, die noch gesendet werden",
        "delayed_events",
        ("room_id", "event_type", "state_key", "device_id", "delay", "send_ts", "origin_server_ts", "content"),
        "user_localpart = :localpart",
        json_columns=frozenset({"content"}),
    ),
    # Those of rooms that were made here have no index on whoever made them: all rows, one for each room.
    Source("rooms_made", "Angelegte Räume", "rooms", ("room_id", "room_version", "is_public"), "creator = :user"),
    # The same, for aliases.
    Source(
        "aliases_made", "Angelegte Adressen von Räumen", "room_aliases", ("room_alias", "room_id"), "creator = :user"
    ),
    # All rows: there are as many as people have reported.
    Source(
        "reports_made",
        "Eigene Meldungen von Nachrichten",
        "event_reports",
        ("received_ts", "room_id", "event_id", "reason", "content"),
        json_columns=frozenset({"content"}),
    ),
    Source("room_reports_made", "Eigene Meldungen von Räumen", "room_reports", ("received_ts", "room_id", "reason")),
    Source(
        "user_reports_made",
        "Eigene Meldungen von Personen",
        "user_reports",
        ("received_ts", "target_user_id", "reason"),
    ),
    # Who has reported, and in which words, is protected: Art. 15 (4) GDPR.
    Source(
        "reports_about_messages",
        "Meldungen anderer über Nachrichten der Person",
        "event_reports",
        ("received_ts", "room_id", "event_id"),
        "EXISTS (SELECT 1 FROM events AS e WHERE e.event_id = t.event_id AND e.sender = :user)",
        tables=("events",),
    ),
    Source(
        "reports_about_the_person",
        "Meldungen anderer über die Person",
        "user_reports",
        ("received_ts",),
        "target_user_id = :user",
    ),
    Source("rate_limit", "Abweichende Begrenzung", "ratelimit_override", ("messages_per_second", "burst_count")),
    Source("features", "Freigeschaltete Funktionen", "per_user_experimental_features", ("feature", "enabled")),
    # All rows: there are as many as rooms were blocked.
    Source("rooms_blocked", "Als Administrator gesperrte Räume", "blocked_rooms", ("room_id",)),
    # All rows of both, one for each file: Synapse has no index on who blocked it.
    Source(
        "files_blocked",
        "Als Administrator gesperrte Dateien",
        "local_media_repository",
        ("media_id", "created_ts"),
        "t.quarantined_by = :user",
    ),
    Source(
        "remote_files_blocked",
        "Als Administrator gesperrte Dateien anderer Server",
        "remote_media_cache",
        ("media_origin", "media_id", "created_ts"),
        "t.quarantined_by = :user",
    ),
    # All rows: those of the last days.
    Source(
        "tasks",
        "Aufgaben des Servers zum Konto",
        "scheduled_tasks",
        ("action", "status", "timestamp", "error"),
        "resource_id = :user",
    ),
    # By the index on the uploader, of which the previews are a few.
    Source(
        "url_previews",
        "Aufgerufene Vorschauen von Internetadressen",
        "local_media_repository",
        ("media_id", "url_cache", "created_ts"),
        "user_id = :user AND url_cache IS NOT NULL",
    ),
)

WHOLE_BY_OTHERS: Final[Mapping[str, str]] = {
    "events": "personal_events.py",
    "local_media_repository": "personal_files.py",
}
"""Tables that other files here read."""

PASSED_OVER: Final[Mapping[str, str]] = {
    "dehydrated_devices": "holds private keys, encrypted; only an application of the person can use them",
    "deleted_pushers": "a number for each change, for other processes",
    "device_inbox": "messages of others between devices, encrypted, until they are fetched",
    "device_lists_changes_in_room": "a number for each change, for other processes",
    "device_lists_outbound_last_success": "a number for each change, for other servers",
    "device_lists_outbound_pokes": "a number for each change, for other servers",
    "device_lists_remote_cache": "people of other servers",
    "device_lists_remote_extremeties": "people of other servers",
    "device_lists_remote_pending": "people of other servers",
    "device_lists_remote_resync": "people of other servers",
    "device_lists_stream": "a number for each change, for other processes",
    "e2e_cross_signing_signatures": "signatures between keys, derived from the keys",
    "e2e_fallback_keys_json": "keys for one use, made by applications",
    "e2e_one_time_keys_json": "keys for one use, made by applications",
    "e2e_room_keys": "keys of messages, encrypted by the person; an application of the person restores them",
    "event_push_actions": "counted from messages of others",
    "event_push_actions_staging": "counted from messages of others",
    "event_push_summary": "counted from messages of others",
    "event_search": "words of messages, derived from these",
    "event_search_content": "words of messages, derived from these",
    "event_txn_id_device_id": "numbers of requests, kept for a day",
    "local_current_membership": "derived from memberships",
    "login_tokens": "secrets, kept for minutes",
    "open_id_tokens": "secrets, kept for an hour",
    "profile_updates": "a number for each change, for applications",
    "profile_updates_per_user": "a number for each change, for applications",
    "push_rules_stream": "a number for each change, for other processes",
    "receipts_graph": "the same as the receipts",
    "refresh_tokens": "secrets; the session itself is shown",
    "room_ban_redactions": "events that others have redacted",
    "room_tags_revisions": "a number for each change, for other processes",
    "sliding_sync_connection_lazy_members": "what an application has seen already",
    "sliding_sync_connections": "what an application has seen already",
    "sliding_sync_membership_snapshots": "derived from memberships",
    "sticky_events": "points to messages, which are shown",
    "threepid_guest_access_tokens": "secrets of invitations to people without an account",
    "threepid_validation_session": "addresses while they are confirmed; confirmed ones are shown",
    "ui_auth_sessions_ips": "steps of a login, kept for two days, under no name",
    "user_directory_search": "words of the profile, derived from it",
    "user_directory_search_content": "words of the profile, derived from it",
    "user_directory_stale_remote_users": "people of other servers",
    "user_signature_stream": "a number for each change, for other processes",
    "user_stats_current": "counted from memberships",
    "users_in_public_rooms": "derived from memberships",
    "users_pending_deactivation": "until a deactivation is done, in minutes",
    "users_to_send_full_presence_to": "a number for each change, for other processes",
    "users_who_share_private_rooms": "derived from memberships",
}
"""Tables of Synapse with user ids in them that an export leaves out, and why."""
