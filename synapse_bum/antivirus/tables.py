"""The antivirus tables. Queries stand with the feature that asks them; each says which index it uses."""

from synapse_bum.database import Component, Migration

ANTIVIRUS = Component(
    "antivirus",
    (
        Migration.both(
            1,
            # One row for each stored file that was looked at or has to be. `scanned_ts` is null while unscanned.
            "CREATE TABLE synapse_bum_antivirus_verdicts (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " state TEXT NOT NULL, signature_version TEXT, scanned_ts BIGINT, noted_ts BIGINT NOT NULL,"
            " attempts INTEGER NOT NULL DEFAULT 0, next_try_ts BIGINT NOT NULL DEFAULT 0,"
            " PRIMARY KEY (server_name, media_id))",
            "CREATE INDEX synapse_bum_antivirus_unscanned ON synapse_bum_antivirus_verdicts"
            " (next_try_ts) WHERE state = 'unscanned'",
            "CREATE TABLE synapse_bum_antivirus_findings (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " sha256 TEXT NOT NULL, signature TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL,"
            " uploader TEXT, reporter TEXT, found_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id))",
            "CREATE INDEX synapse_bum_antivirus_findings_ts ON synapse_bum_antivirus_findings"
            " (found_ts, server_name, media_id)",
            "CREATE INDEX synapse_bum_antivirus_findings_sha256 ON synapse_bum_antivirus_findings (sha256)",
            # Files after which an engine was lost or timed out.
            "CREATE TABLE synapse_bum_antivirus_suspects (sha256 TEXT NOT NULL PRIMARY KEY,"
            " size_bytes BIGINT NOT NULL, strikes INTEGER NOT NULL, last_ts BIGINT NOT NULL)",
            # Uploads that are being blocked from their first moment: see `blocking.py`.
            "CREATE TABLE synapse_bum_antivirus_births (media_id TEXT NOT NULL PRIMARY KEY,"
            " created_ts BIGINT NOT NULL)",
            # Remote files that are being scanned: see `arrivals.py`.
            "CREATE TABLE synapse_bum_antivirus_arrivals (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " sha256 TEXT, since_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id))",
            "CREATE TABLE synapse_bum_antivirus_totals (result TEXT NOT NULL PRIMARY KEY, files BIGINT NOT NULL)",
            # What the process with the scanner last knew of it, for processes without one.
            "CREATE TABLE synapse_bum_antivirus_scanner (instance TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL,"
            " updated_ts BIGINT NOT NULL)",
            # How far the walk over files without a verdict has come, for `local` and `remote` media.
            "CREATE TABLE synapse_bum_antivirus_walks (kind TEXT NOT NULL PRIMARY KEY, server_name TEXT NOT NULL,"
            " media_id TEXT NOT NULL, finished_ts BIGINT)",
        ),
        Migration.both(
            2,
            # Verdicts about encrypted files, each for one file and key: see `content_scanner/key_verdicts.py`.
            "CREATE TABLE synapse_bum_antivirus_key_verdicts (binding TEXT NOT NULL PRIMARY KEY,"
            " server_name TEXT NOT NULL, media_id TEXT NOT NULL, verdict TEXT NOT NULL, signature TEXT,"
            " signature_version TEXT, proved SMALLINT NOT NULL, expires_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_antivirus_key_verdicts_media ON synapse_bum_antivirus_key_verdicts"
            " (server_name, media_id)",
            "CREATE INDEX synapse_bum_antivirus_key_verdicts_end ON synapse_bum_antivirus_key_verdicts (expires_ts)",
            # Which event carries which file, and how we know: see `links.py`.
            "CREATE TABLE synapse_bum_antivirus_links (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " event_id TEXT NOT NULL, room_id TEXT NOT NULL, sender TEXT NOT NULL, vouched_by TEXT NOT NULL,"
            " noted_ts BIGINT NOT NULL, PRIMARY KEY (server_name, media_id, event_id))",
            "CREATE INDEX synapse_bum_antivirus_links_event ON synapse_bum_antivirus_links (event_id)",
            # Files that are held until a scan with their key: see `holding.py`.
            "CREATE TABLE synapse_bum_antivirus_held (server_name TEXT NOT NULL, media_id TEXT NOT NULL,"
            " sha256 TEXT NOT NULL, since_ts BIGINT NOT NULL, marked SMALLINT NOT NULL DEFAULT 0,"
            " PRIMARY KEY (server_name, media_id))",
            "CREATE INDEX synapse_bum_antivirus_held_unmarked ON synapse_bum_antivirus_held (since_ts)"
            " WHERE marked = 0",
        ),
        Migration.both(
            3,
            # What an operator released: these bytes are not blocked again for this signature. See `exemptions.py`.
            "CREATE TABLE synapse_bum_antivirus_exemptions (sha256 TEXT NOT NULL, signature TEXT NOT NULL,"
            " released_by TEXT NOT NULL, reason TEXT NOT NULL, released_ts BIGINT NOT NULL,"
            " PRIMARY KEY (sha256, signature))",
            "CREATE INDEX synapse_bum_antivirus_findings_signature ON synapse_bum_antivirus_findings"
            " (signature, state)",
            # One row: who writes a finding or releases one waits here for the other. See `exemptions.py`.
            "CREATE TABLE synapse_bum_antivirus_turn (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " taken BIGINT NOT NULL)",
            "INSERT INTO synapse_bum_antivirus_turn VALUES (1, 0)",
            # Blocks and releases that Synapse's own stream does not know of yet. See `quarantine_stream.py`.
            "CREATE TABLE synapse_bum_antivirus_quarantine_changes (server_name TEXT NOT NULL,"
            " media_id TEXT NOT NULL, quarantined BOOLEAN NOT NULL, since_ts BIGINT NOT NULL,"
            " PRIMARY KEY (server_name, media_id))",
            # Scanning what is stored again. `started_by` is null where new signatures were the cause; the last file
            # that was looked at is (at_server, at_media). See `rescan_runs.py`.
            "CREATE TABLE synapse_bum_antivirus_rescans (run_id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL,"
            " signature_version TEXT, started_by TEXT, created_ts BIGINT NOT NULL, started_ts BIGINT,"
            " finished_ts BIGINT, scanned BIGINT NOT NULL DEFAULT 0, total BIGINT NOT NULL DEFAULT 0,"
            " infected BIGINT NOT NULL DEFAULT 0, at_server TEXT NOT NULL DEFAULT '',"
            " at_media TEXT NOT NULL DEFAULT '', paused_by TEXT)",
            "CREATE UNIQUE INDEX synapse_bum_antivirus_rescans_version ON synapse_bum_antivirus_rescans"
            " (signature_version) WHERE started_by IS NULL",
            # How many files each signature hit in a run, and what an operator said about it.
            "CREATE TABLE synapse_bum_antivirus_rescan_hits (run_id TEXT NOT NULL, signature TEXT NOT NULL,"
            " files BIGINT NOT NULL, standing TEXT NOT NULL, PRIMARY KEY (run_id, signature))",
        ),
        Migration.both(
            4,
            # Redactions by local users whose files may have to go; `next_try_ts` is null where that is decided. See
            # `redaction_queue.py`.
            "CREATE TABLE synapse_bum_antivirus_redactions (event_id TEXT NOT NULL PRIMARY KEY,"
            " redacts TEXT NOT NULL, received_ts BIGINT NOT NULL, next_try_ts BIGINT DEFAULT 0,"
            " attempts INTEGER NOT NULL DEFAULT 0)",
            "CREATE INDEX synapse_bum_antivirus_redactions_open ON synapse_bum_antivirus_redactions (next_try_ts)"
            " WHERE next_try_ts IS NOT NULL",
            "CREATE TABLE synapse_bum_antivirus_redactions_seen (only_row INTEGER NOT NULL PRIMARY KEY"
            " CHECK (only_row = 1), looked_ts BIGINT NOT NULL)",
            # For the marks on events: see `event_annotations.py`.
            "CREATE INDEX synapse_bum_antivirus_findings_blocked ON synapse_bum_antivirus_findings (found_ts)"
            " WHERE state IN ('blocked', 'block_failed')",
            "CREATE INDEX synapse_bum_antivirus_links_noted ON synapse_bum_antivirus_links (noted_ts)",
        ),
        Migration.both(
            5,
            # Files of redacted events that are on hold. See `deferred_redactions.py`.
            "CREATE TABLE synapse_bum_antivirus_redactions_deferred (media_id TEXT NOT NULL, redacts TEXT NOT NULL,"
            " room_id TEXT NOT NULL, sender TEXT NOT NULL, redactor TEXT NOT NULL, is_room_admin INTEGER NOT NULL,"
            " vouched_by TEXT NOT NULL, next_try_ts BIGINT NOT NULL, PRIMARY KEY (media_id, redacts))",
            "CREATE INDEX synapse_bum_antivirus_redactions_deferred_due"
            " ON synapse_bum_antivirus_redactions_deferred (next_try_ts)",
        ),
        Migration.both(
            6,
            # Public keys of the request secret: the one in use has no `replaced_ts`. See `request_key_pins.py`.
            "CREATE TABLE synapse_bum_antivirus_request_keys (public_key TEXT NOT NULL PRIMARY KEY,"
            " pinned_ts BIGINT NOT NULL, replaced_ts BIGINT)",
        ),
    ),
)
