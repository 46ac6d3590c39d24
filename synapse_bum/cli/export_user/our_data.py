"""Where our own modules keep data about a person, table by table; and where they do so and why we pass.

A test compares both lists with the tables of a real server. Each condition goes by an index that begins with the user,
unless a line says what it reads.
"""

from collections.abc import Mapping
from typing import Final

from synapse_bum.homeserver.personal_source import Source

_OWN_FILES: Final = (
    "t.server_name = :server AND t.media_id IN (SELECT m.media_id FROM local_media_repository AS m"
    " WHERE m.user_id = :user)"
)
# By keys of all three: `idp_id` and subject are one here. Whose account was given up has no link any more.
_LINKED: Final = (
    "EXISTS (SELECT 1 FROM user_external_ids AS l WHERE l.user_id = :user AND l.external_id = t.subject"
    " AND l.auth_provider = CASE t.idp_id WHEN 'oidc' THEN 'oidc' ELSE 'oidc-' || t.idp_id END)"
    " OR EXISTS (SELECT 1 FROM synapse_bum_oidc_localparts AS n WHERE n.localpart = :localpart"
    " AND n.idp_id = t.idp_id AND n.subject = t.subject)"
    " OR EXISTS (SELECT 1 FROM synapse_bum_oidc_scim_users AS s WHERE s.user_id = :user AND s.idp_id = t.idp_id"
    " AND s.subject = t.subject)"
)
_BY_SCIM: Final = (
    "EXISTS (SELECT 1 FROM synapse_bum_oidc_scim_users AS s WHERE s.user_id = :user AND s.idp_id = t.idp_id"
    " AND s.subject = t.subject)"
)

OUR_SOURCES: Final = (
    # All rows: there are as many as files that were found infected. Who reported one is somebody else's affair.
    Source(
        "virus_findings",
        "Virenfunde in hochgeladenen Dateien",
        "synapse_bum_antivirus_findings",
        ("server_name", "media_id", "sha256", "signature", "state", "source", "uploader", "found_ts"),
        "t.uploader = :user",
    ),
    Source(
        "virus_findings_reported",
        "Virenfunde beim Öffnen von Dateien anderer",
        "synapse_bum_antivirus_findings",
        ("server_name", "media_id", "signature", "state", "source", "found_ts"),
        "t.reporter = :user AND (t.uploader IS NULL OR t.uploader <> :user)",
    ),
    # By the primary key, for each file of the person; so the next two.
    Source(
        "virus_verdicts",
        "Ergebnisse der Virenprüfung hochgeladener Dateien",
        "synapse_bum_antivirus_verdicts",
        ("server_name", "media_id", "state", "signature_version", "scanned_ts", "noted_ts"),
        _OWN_FILES,
    ),
    Source(
        "virus_verdicts_of_encrypted_files",
        "Ergebnisse der Virenprüfung verschlüsselter Dateien",
        "synapse_bum_antivirus_key_verdicts",
        ("server_name", "media_id", "verdict", "signature", "signature_version", "expires_ts"),
        _OWN_FILES,
    ),
    Source(
        "files_held",
        "Dateien, die bis zu einer Virenprüfung zurückgehalten werden",
        "synapse_bum_antivirus_held",
        ("server_name", "media_id", "sha256", "since_ts"),
        _OWN_FILES,
    ),
    # All rows: one for each file in a message that was looked at.
    Source(
        "files_in_messages",
        "Zuordnung von Dateien zu Nachrichten der Person",
        "synapse_bum_antivirus_links",
        ("server_name", "media_id", "event_id", "room_id", "sender", "noted_ts"),
        "t.sender = :user",
    ),
    # All rows: there are as many as findings were released by hand.
    Source(
        "findings_released",
        "Als Administrator freigegebene Funde",
        "synapse_bum_antivirus_exemptions",
        ("sha256", "signature", "released_by", "reason", "released_ts"),
        "t.released_by = :user",
    ),
    # All rows: one for each file that was ever deleted, as long as the journal keeps them.
    Source(
        "deletions",
        "Gelöschte und zu löschende Dateien",
        "synapse_bum_deletions",
        (
            "kind",
            "server_name",
            "media_id",
            "uploader",
            "size_bytes",
            "created_ts",
            "policy",
            "actor",
            "reason",
            "state",
            "planned_ts",
            "done_ts",
        ),
        "t.uploader = :user",
        conceals_others=True,
    ),
    # All rows: those of the last minutes.
    Source(
        "deletions_being_counted",
        "Gelöschte Dateien, deren Speicherplatz noch abgezogen wird",
        "synapse_bum_deletion_tally",
        ("media_origin", "media_id", "created_ts", "uploader", "file_bytes", "thumbnail_bytes", "noted_ts"),
        "t.uploader = :user",
    ),
    Source(
        "deletions_held",
        "Gelöschte Dateien, die eine Aufbewahrungssperre noch hält",
        "synapse_bum_deletion_held",
        ("server_name", "media_id", "kind", "planned_ts", "policy", "actor", "reason"),
        _OWN_FILES,
        conceals_others=True,
    ),
    Source(
        "holds",
        "Aufbewahrungssperren",
        "synapse_bum_holds",
        ("target", "reason", "until_ts", "created_by", "created_ts"),
        "t.target = :user",
        conceals_others=True,
    ),
    # All rows: there are as many as people have set holds.
    Source(
        "holds_set",
        "Als Administrator gesetzte Aufbewahrungssperren",
        "synapse_bum_holds",
        ("target", "reason", "until_ts", "created_by", "created_ts"),
        "t.created_by = :user AND t.target <> :user",
        conceals_others=True,
    ),
    # All rows: one for each avatar, sticker and image pack.
    Source(
        "files_protected",
        "Vor dem Löschen geschützte Dateien",
        "synapse_bum_retention_protected",
        ("kind", "source", "user_id", "server_name", "media_id", "protects"),
    ),
    Source(
        "storage",
        "Belegter Speicherplatz",
        "synapse_bum_storage_uploaders",
        ("user_id", "files", "file_bytes", "thumbnail_bytes"),
    ),
    Source(
        "storage_lately",
        "Belegter Speicherplatz, jüngste Änderungen",
        "synapse_bum_storage_recent",
        ("user_id", "files", "file_bytes", "thumbnail_bytes"),
    ),
    # All rows: files whose share may still change.
    Source(
        "storage_watched",
        "Belegter Speicherplatz, einzelne Dateien",
        "synapse_bum_storage_watched",
        ("media_origin", "media_id", "created_ts", "uploader", "files", "file_bytes", "thumbnail_bytes", "until_ts"),
        "t.uploader = :user",
    ),
    # All rows: uploads of this minute.
    Source(
        "uploads_reserved",
        "Laufende Uploads",
        "synapse_bum_storage_uploads",
        ("user_id", "size_bytes", "reserved_ts", "finished"),
    ),
    Source(
        "counted_as_user",
        "Zeiten, in denen die Person als Nutzer zählte",
        "synapse_bum_storage_users",
        ("user_id", "locked", "from_ts", "until_ts"),
    ),
    # All rows, one for each person that an identity provider knows; so the next four.
    Source(
        "identity_provider_data",
        "Angaben des Identitätsproviders",
        "synapse_bum_oidc_people",
        ("idp_id", "subject", "user_name", "display_name", "email", "admin", "pending", "login_ts", "bound_email"),
        _LINKED,
        tables=("user_external_ids", "synapse_bum_oidc_localparts", "synapse_bum_oidc_scim_users"),
    ),
    Source(
        "reserved_name",
        "Vergebener Nutzername",
        "synapse_bum_oidc_localparts",
        ("localpart", "idp_id", "subject", "reserved_ts"),
        "t.localpart = :localpart",
    ),
    Source(
        "administrator_by_identity_provider",
        "Vom Identitätsprovider verliehene Rechte",
        "synapse_bum_oidc_admin_grants",
        ("user_id", "idp_id", "granted_ts", "asserted_ts", "revoking"),
    ),
    Source(
        "scim",
        "Vom Verzeichnisdienst angelegtes Konto (SCIM)",
        "synapse_bum_oidc_scim_users",
        (
            "idp_id",
            "subject",
            "user_id",
            "external_id",
            "user_name",
            "display_name",
            "given_name",
            "family_name",
            "emails",
            "active",
            "locked_ts",
            "deleted_ts",
            "deactivated_ts",
            "created_ts",
            "modified_ts",
        ),
        json_columns=frozenset({"emails"}),
    ),
    Source(
        "scim_endings",
        "Vom Verzeichnisdienst beendete Zugänge",
        "synapse_bum_oidc_scim_endings",
        ("ts", "idp_id", "subject"),
        _BY_SCIM,
        tables=("synapse_bum_oidc_scim_users",),
    ),
    # All rows of each: as many as people wrote, entered or started something.
    Source(
        "tickets",
        "Anfragen an den Support",
        "synapse_bum_portal_tickets",
        (
            "ticket_id",
            "category",
            "text",
            "contact",
            "email",
            "reported_by",
            "reported_ts",
            "confirmed_by",
            "confirmed_ts",
            "due_ts",
            "answered_by",
            "answered_ts",
            "answer",
        ),
        "t.reported_by = :user",
        conceals_others=True,
    ),
    Source(
        "tickets_worked_on",
        "Als Administrator bearbeitete Anfragen",
        "synapse_bum_portal_tickets",
        ("ticket_id", "category", "confirmed_ts", "answered_ts"),
        "(t.confirmed_by = :user OR t.answered_by = :user) AND t.reported_by <> :user",
    ),
    Source(
        "account_deletion",
        "Begonnene Löschung des Kontos",
        "synapse_bum_portal_begun_deletions",
        ("user_id", "begun_ts", "stage", "stopped"),
    ),
    # All rows: deletions that are not finished.
    Source(
        "account_deletions_begun",
        "Als Administrator begonnene Löschungen von Konten",
        "synapse_bum_portal_begun_deletions",
        ("begun_ts", "stage", "stopped"),
        "t.begun_by = :user AND t.user_id <> :user",
    ),
    Source(
        "federation_partners",
        "Als Administrator eingetragene Föderationspartner",
        "synapse_bum_federation_partners",
        ("server_name", "source", "organisation", "reason", "ticket", "created_ts", "leaving_reason"),
        "t.created_by = :user OR t.leaving_by = :user OR t.requested_by = :user",
    ),
    Source(
        "outages_entered",
        "Als Administrator eingetragene Ausfälle",
        "synapse_bum_availability_outages",
        ("outage_id", "from_ts", "to_ts", "ticket", "excuse", "reason", "created_ts", "changed_ts"),
        "t.created_by = :user",
    ),
    Source(
        "deletion_runs_started",
        "Als Administrator gestartete Löschläufe",
        "synapse_bum_retention_runs",
        ("run_id", "state", "dry_run", "classes", "created_ts", "finished_ts"),
        "t.started_by = :user",
    ),
    Source(
        "virus_scans_started",
        "Als Administrator gestartete Virenprüfungen",
        "synapse_bum_antivirus_rescans",
        ("run_id", "state", "created_ts", "finished_ts"),
        "t.started_by = :user",
    ),
    Source(
        "recounts_started",
        "Als Administrator gestartete Zählungen des Speichers",
        "synapse_bum_storage_recounts",
        ("run_id", "state", "created_ts", "finished_ts"),
        "t.started_by = :user",
    ),
    Source(
        "orphan_runs_started",
        "Als Administrator gestartete Suchen nach verwaisten Dateien",
        "synapse_bum_storage_orphan_runs",
        ("run_id", "state", "created_ts", "finished_ts"),
        "t.started_by = :user",
    ),
)

READ_ELSEWHERE: Final[Mapping[str, str]] = {"synapse_bum_audit": "audit_entries.py"}
"""Tables of ours that another file here reads."""

PASSED_OVER: Final[Mapping[str, str]] = {
    "synapse_bum_antivirus_redactions_deferred": "files whose deletion waits for a hold; the message is shown",
    "synapse_bum_contract_end": "who closed the server at the end of its contract, by name and not by account",
    "synapse_bum_contract_taken": "what that closing has changed of accounts, until it is taken back or final",
    "synapse_bum_portal_drafts": "forms that a browser left an hour ago at the most, sealed so that only it reads them",
    "synapse_bum_portal_ticket_mails": "mails about requests until they are sent; the request is shown",
    "synapse_bum_recovery_devices": "devices that are gone, until everybody was told after a restore; seconds",
    "synapse_bum_recovery_held_events": "deleted messages that a hold keeps after a restore, for whoever set the hold",
    "synapse_bum_recovery_memberships": "rooms that are left once more after a restore; seconds",
    "synapse_bum_recovery_owed": "lines for the recovery log that are written within seconds",
    "synapse_bum_recovery_seen": "which state of an account the recovery log has; the state itself is shown",
    "synapse_bum_recovery_tidying": "accounts whose deactivation is finished within minutes of a restore",
    "synapse_bum_storage_users_count": "holds names of accounts that are never counted, from the configuration",
}
"""Tables of ours with user ids in them that an export leaves out, and why."""
