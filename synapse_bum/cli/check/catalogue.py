"""Every check by its name, with what to change where it finds something. docs/check.md has a line for each.

Names are part of `--json`: scripts may wait for them, so that they are never changed.
"""

from enum import Enum


class Check(Enum):
    """What is looked at: the value is the name, its first part the area."""

    remedy: str

    def __new__(cls, name: str, remedy: str) -> "Check":  # noqa: PYI034 - Self is not in Python 3.10
        """Make one.

        Args:
            name: area and name.
            remedy: what to change.
        """
        member = object.__new__(cls)
        member._value_ = name
        member.remedy = remedy
        return member

    @property
    def area(self) -> str:
        """The first part of the name."""
        return str(self.value).partition(".")[0]

    # The files of `-c`
    FILE = "configuration.file", "give the path of a YAML file that Synapse's user can read"
    SHAPE = "configuration.shape", "write the section as Synapse's documentation has it"
    KEY_TWICE = "configuration.key-twice", "write the key once, with all that belongs to it"
    REPLACED_MODULES = (
        "configuration.replaced-modules",
        "keep one list `modules`, in the file that all processes read: a later file replaces the whole of it",
    )
    SHARED_KEY = "configuration.shared-key", "write the key once, in the file that all processes read"
    PROCESS_NAME = "processes.name", "give each worker a `worker_name` of its own"
    TWO_MEDIA = (
        "processes.two-media",
        "write `enable_media_repo: false` into the file that all processes read, and `true` into the media worker's",
    )
    MEDIA_UNSEEN = "processes.media-unseen", "name the file of the process with the media with `-c` too"
    # `modules`
    MODULE_ENTRY = "modules.entry", "write `module:` with the name of a class and `config:` with its keys"
    MODULE_TWICE = "modules.twice", "remove one of the two entries"
    MODULE_UNKNOWN = "modules.unknown", "write the name as in README.md"
    MODULE_CONFIG = "modules.config", "change the key that is named; README.md has them all"
    NO_MODULES = "modules.none", "add the modules to the file that every process reads, workers too"
    # Listeners, and who reaches what
    COMBINED_LISTENER = (
        "listeners.combined",
        "give clients a listener of their own, or bind it to 127.0.0.1 and set `admin_hosts` of all modules",
    )
    NO_CLIENT_LISTENER = (
        "listeners.no-clients",
        "give the process with the media repository a listener with `client` or `media`",
    )
    ADMIN_HOSTS = "listeners.admin-hosts", "set `admin_hosts` to the host name of administrators, in all modules"
    # The reverse proxy
    PROXY_FILE = "proxy.file", "give nginx's own configuration (`nginx -T` prints it in one piece)"
    PROXY_ADMIN_PATH = "proxy.admin-path", "answer 404 there; serve the path under the administrators' name only"
    PROXY_ROUTE = "proxy.route", "add a `location` with `proxy_pass` for the path, as config-samples/nginx.conf has it"
    PROXY_MEDIA_WORKER = "proxy.media-worker", "send the path to the process with the media repository"
    PROXY_HOST = "proxy.host", "write `proxy_set_header Host $server_name;`"
    PROXY_HOST_PORT = (
        "proxy.host-port",
        "write `proxy_set_header Host $server_name;`, with the port behind it where `public_baseurl` has one",
    )
    PROXY_FORWARDED_FOR = (
        "proxy.forwarded-for",
        "write `set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;` into the server of `admin_api_url`",
    )
    PROXY_OPEN = "proxy.open", "let only your own network in: `allow` it and `deny all`"
    # Antivirus
    REQUIRE_SCAN = "antivirus.require-scan", "set `require_scan: true`"
    CONTENT_SCANNER = "antivirus.content-scanner", "remove `content_scanner.enabled: false`"
    ACCEPTS_UNSCANNED = "antivirus.accepts-unscanned", "remove `when_scanner_fails: accept`"
    UPLOAD_SIZE = "antivirus.upload-size", "write `max_upload_size` as a number with K, M or G"
    SCAN_SIZE = "antivirus.scan-size", "raise `max_scan_size` to `max_upload_size`, or lower that"
    REQUEST_SECRET = (
        "antivirus.request-secret",
        "`openssl rand -base64 32` prints one; put the same into the file of every process",
    )
    REQUEST_SECRET_PIN = (
        "antivirus.request-secret-pin",
        "put the same secret into the file of every process that has the media repository, and start them again",
    )
    SCANNER_UNASKED = "antivirus.scanner-unasked", "install the package `clamd`, or look at `GET .../antivirus/status`"
    SCANNER_ANSWER = "antivirus.scanner-answer", "start clamd, and let Synapse's user connect to it"
    EICAR = "antivirus.eicar", "have freshclam fetch the official signatures, and start clamd again"
    SILENT_LIMITS = "antivirus.silent-limits", "write `AlertExceedsMax yes` into clamd.conf"
    SILENT_ENCRYPTION = "antivirus.silent-encryption", "write `AlertEncrypted yes` into clamd.conf"
    SCANNER_SIZE = (
        "antivirus.scanner-size",
        "raise StreamMaxLength, MaxFileSize and MaxScanSize in clamd.conf to `max_upload_size`",
    )
    # clamd.conf and c-icap.conf
    CLAMD_FILE = "clamd.file", "change the line that is named"
    CLAMD_STREAM = "clamd.stream-max-length", "write `StreamMaxLength` with a unit, not below `max_upload_size`"
    CLAMD_LIMITS = "clamd.limits", "raise the limit to `max_upload_size` or more"
    CLAMD_ALERT = "clamd.alert-exceeds-max", "write `AlertExceedsMax yes`"
    CLAMD_ENCRYPTED = "clamd.alert-encrypted", "write `AlertEncrypted yes`"
    CLAMD_TIME = "clamd.max-scan-time", "set `MaxScanTime` (ms) below the module's `scanner.timeout`"
    CLAMD_TEMPORARY = "clamd.temporary-directory", "set `TemporaryDirectory` to a folder on a tmpfs"
    ICAP_SIZE = "c-icap.max-object-size", "raise `virus_scan.MaxObjectSize` to `max_upload_size`"
    ICAP_PASS = "c-icap.pass-on-error", "write `virus_scan.PassOnError off`"
    ICAP_ENGINE = (
        "c-icap.engine",
        "load `clamd_mod.so` or `clamav_mod.so`, and `Service antivirus_module virus_scan.so`",
    )
    ICAP_TEMPORARY = "c-icap.temporary-directory", "set `TmpDir` to a folder on a tmpfs"
    # The machine
    SWAP = "machine.swap", "turn swap off (`swapoff -a`, /etc/fstab), or encrypt it with a key of each boot"
    CORE_DUMPS = (
        "machine.core-dumps",
        "write `LimitCORE=0` into the units of Synapse and clamd, and `kernel.core_pattern=|/bin/false` for handlers",
    )
    # Files and folders
    SECRET_FILE = "secrets.file", "make the file, for Synapse's user alone (`chmod 400`), on every machine"
    SECRET_READERS = "secrets.readers", "`chmod 400` the file"
    MEDIA_FOLDER = "media.folder", "make the folder, and give it to Synapse's user"
    # Logs
    LOG_FILE = "log.file", "name a YAML file that Synapse's user can read"
    LOG_DISABLED = "log.disabled-loggers", "write `disable_existing_loggers: false`"
    LOG_LEVEL = "log.level", "set the level to INFO"
    LOG_HANDLER = "log.handler", "give the root logger a handler that writes somewhere"
    # Database
    DATABASE_UNASKED = "database.unasked", "run the check where the database can be reached, as Synapse's user"
    CLOCK = "database.clock", "let both machines follow the same time servers (chrony, systemd-timesyncd)"
    # Retention
    RETENTION_LIFETIME = "retention.lifetime", "write the `lifetime` of the class; the contract's are in README.md"
    RETENTION_DRY_RUN = "retention.dry-run", "remove `dry_run: true`"
    DELETION_LOG = "retention.deletion-log", "set `deletion_log_path` to a file that no restore of the database touches"
    SYNAPSE_RETENTION = "retention.synapse", "set `retention.enabled` to false"
    SYNAPSE_MEDIA_RETENTION = "retention.synapse-media", "remove the key"
    REDACTED = "retention.redacted", "remove `redaction_retention_period`, then it is 7d"
    STORAGE_PROVIDER = "retention.storage-provider", "give the provider a method `delete_file(path)`"
    # Recovery
    RECOVERY_LOG = "recovery.log", "set `log_path` to a file of its own that no restore of the database touches"
    RECOVERY_ROTATED = "recovery.rotated", "take the file out of what logrotate rotates: an emptied log stops the start"
    RECOVERY_BEGIN = "recovery.log-begins-at", "remove `log_begins_at` once the server has started"
    # Storage
    STORAGE_COUNT = "storage.count", "count local or remote files"
    STORAGE_ALERT = "storage.alert", "set `alert_at` and `alert_email`"
    STORAGE_MAIL = "storage.mail", "write the section `email` with `notif_from` into homeserver.yaml"
    STORAGE_EXCLUDED = "storage.excluded", "write the server name of this homeserver"
    STORAGE_LIMIT = "storage.limit", "raise `hard_limit_gb`, or lower `max_upload_size`"
    STORAGE_PRICES = "storage.prices", "write a `price_list` that holds for this month"
    STORAGE_TIERS = "storage.tiers", "remove `customer_users` or `readings.tiers: graduated`"
    STORAGE_INVOICE = "storage.invoice", "write the keys that are named"
    # Federation
    WHITELIST = "federation.whitelist", "write `federation_domain_whitelist: []` into homeserver.yaml"
    OWN_PARTNER = "federation.own-partner", "remove the entry"
    KEY_SERVERS = "federation.key-servers", "write `trusted_key_servers: []`, or name partners only"
    RELAY = "federation.relay", "remove `relay: show`"
    # Directories of rooms and people
    PUBLICATION = (
        "directory.publication",
        "write `room_list_publication_rules: [{action: allow}]`, or `[]` if nobody is to publish rooms",
    )
    ROOMS_FOR_EVERYBODY = "directory.everybody", "remove `allow_public_rooms_without_auth: true`"
    ROOMS_FOR_SERVERS = (
        "directory.federation",
        "remove `allow_public_rooms_over_federation: true`, or write `federation_domain_whitelist: []`",
    )
    # Identity
    IDENTITY_ENTRY = "oidc.entry", "change what is named"
    IDENTITY_DOUBT = "oidc.doubt", "change what is named, unless it is wanted"
    BACKCHANNEL = "oidc.back-channel", "set `backchannel_logout_enabled: true`, and the address at Keycloak"
    MAS = "oidc.mas", "keep one of the two; `synapse-bum mas-config` prints what the service needs"
    IDENTITY_MODULE = (
        "oidc.module",
        "load the module where an entry of `oidc_providers` uses our mapping, and there only",
    )
    SCIM = "oidc.scim", "set `scim.idp_id` to an entry of `oidc_providers`, and `scim.token_path` to a readable file"
    # Portal
    PORTAL_SUPPORT = "portal.support", "set `support.email` and `support.contacts`"
    PORTAL_MAIL = "portal.mail", "write the section `email` with `notif_from` into homeserver.yaml"
    PORTAL_REACH = "portal.reach", "add the host of `admin_api_url` to `admin_hosts` of all modules"
    PORTAL_PROXY = "portal.proxy", "have nginx's configuration looked at: `--proxy-config`"
    PORTAL_KEY = "portal.session-key", "set `session_key_path`; README.md says how a key is made"
    # Availability
    PROBE_TOKEN = "availability.probe-token", "set `probe_token_path` to a file for Synapse's user alone"
    SERVICE_BEGIN = "availability.service-begin", "set `service_begin` to the first day of the service"
    # From outside
    ONLINE_NAME = "online.server-name", "write `server_name`"
    ONLINE_FEDERATION = "online.federation", "serve /.well-known/matrix/server, and the homeserver where it leads"
    ONLINE_SRV = "online.srv", "let the SRV records lead to the homeserver, or remove them"
    ONLINE_CLIENTS = (
        "online.clients",
        "serve /.well-known/matrix/client with `public_baseurl`, and the homeserver there",
    )
    ONLINE_SUPPORT = "online.support", "serve /.well-known/matrix/support with a contact"
    ONLINE_ADMIN = "online.admin", "answer 404 to /_synapse/admin/ under the public name"
    ONLINE_PORTAL = "online.portal", "serve /_synapse/client/bum/portal/ under the portal's host"
    ONLINE_ADMIN_HOST = "online.admin-host", "serve /_synapse/client/bum/ under each name of `admin_hosts`"
    ONLINE_CERTIFICATE = "online.certificate", "renew the certificate, and have its renewal watched"
