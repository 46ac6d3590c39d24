"""What this package needs of Synapse's private API, checked before anything is loaded.

A missing name must stop the start with a sentence, not an upload at night. Run on Synapse 1.133.0, 1.143.0 and 1.163.2.
"""

import importlib
from collections.abc import Sequence

import attr


class UnsupportedSynapseError(Exception):
    """This Synapse lacks something that a module needs; the text says what and for which purpose."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Requirement:
    """One name inside Synapse.

    Attributes:
        module: dotted name of the Python module.
        name: attribute path inside it.
        purpose: what we use it for.
    """

    module: str
    name: str
    purpose: str


DATABASE = (
    Requirement("synapse.storage.database", "DatabasePool.runInteraction", "transactions on our own tables"),
    Requirement("synapse.storage.engines", "PostgresEngine", "telling PostgreSQL from SQLite"),
    Requirement("synapse.storage.engines._base", "IsolationLevel.READ_COMMITTED", "transactions that wait for locks"),
)

LOG_CONTEXTS = (
    Requirement("synapse.logging.context", "PreserveLoggingContext", "scans outside of log contexts"),
    Requirement("synapse.logging.context", "make_deferred_yieldable", "scans outside of log contexts"),
    Requirement("synapse.logging.context", "current_context", "the uploader of a file"),
)

MEDIA = (
    Requirement("synapse.module_api", "ModuleApi.register_spam_checker_callbacks", "scanning before a file is stored"),
    Requirement("synapse.media._base", "FileInfo", "the identity of the file that is stored"),
    Requirement(
        "synapse.media.media_repository", "MediaRepository._download_remote_file", "the identity of remote files"
    ),
    Requirement(
        "synapse.media.media_repository",
        "MediaRepository._federation_download_remote_file",
        "the identity of remote files",
    ),
    Requirement("synapse.media.media_storage", "MediaStorage.ensure_media_is_in_local_cache", "scanning stored files"),
    Requirement(
        "synapse.storage.databases.main.media_repository",
        "MediaRepositoryStore.get_is_hash_quarantined",
        "blocking an upload from its first moment",
    ),
)

MEDIA_DOORS = (
    Requirement(
        "synapse.media.media_repository", "MediaRepository.get_local_media", "asking whether a blocked file is served"
    ),
    Requirement(
        "synapse.media.media_repository", "MediaRepository.get_remote_media", "asking whether a blocked file is served"
    ),
    Requirement(
        "synapse.media.thumbnailer",
        "ThumbnailProvider.select_or_generate_local_thumbnail",
        "asking whether a blocked file is served",
    ),
    Requirement(
        "synapse.media.thumbnailer",
        "ThumbnailProvider.respond_local_thumbnail",
        "asking whether a blocked file is served",
    ),
    Requirement(
        "synapse.media.thumbnailer",
        "ThumbnailProvider.select_or_generate_remote_thumbnail",
        "asking whether a blocked file is served",
    ),
    Requirement(
        "synapse.media.thumbnailer",
        "ThumbnailProvider.respond_remote_thumbnail",
        "asking whether a blocked file is served",
    ),
)

EVENTS = (
    Requirement(
        "synapse.storage.databases.main.events_worker",
        "EventsWorkerStore._get_events_from_db",
        "the files of a redacted event",
    ),
    Requirement("synapse.event_auth", "get_user_power_level", "telling room administrators"),
)

MEDIA_DELETION = (
    Requirement("synapse.media.filepath", "MediaFilePaths.local_media_filepath_rel", "removing deleted files"),
    Requirement("synapse.media.filepath", "MediaFilePaths.local_media_thumbnail_dir", "removing thumbnails"),
    Requirement("synapse.media.filepath", "MediaFilePaths.remote_media_filepath_rel", "removing deleted files"),
    Requirement("synapse.media.filepath", "MediaFilePaths.remote_media_thumbnail_dir", "removing thumbnails"),
    Requirement("synapse.media.filepath", "MediaFilePaths.url_cache_filepath_rel", "removing URL previews"),
    Requirement("synapse.media.filepath", "MediaFilePaths.url_cache_thumbnail_directory_rel", "removing URL previews"),
    Requirement("synapse.media.storage_provider", "FileStorageProviderBackend", "removing copies of deleted files"),
    Requirement("synapse.storage.database", "LoggingTransaction.execute_batch", "deleting files in batches"),
    Requirement("synapse.logging.context", "run_in_background", "giving up on storage providers that hang"),
)

ROOM_HISTORY = (
    Requirement(
        "synapse.storage.databases.main.purge_events",
        "PurgeEventsStore._purge_history_txn",
        "deleting expired messages",
    ),
    Requirement(
        "synapse.storage.controllers.purge_events",
        "PurgeEventsStorageController._find_unreferenced_groups",
        "deleting the state that only expired messages used",
    ),
    Requirement(
        "synapse.storage.databases.main.lock", "LockStore.try_acquire_read_write_lock", "not purging a room twice"
    ),
    Requirement("synapse.handlers.pagination", "PURGE_PAGINATION_LOCK_NAME", "not purging a room twice"),
    Requirement("synapse.handlers.pagination", "PaginationHandler.purge_room", "removing rooms that all have left"),
    Requirement("synapse.events.utils", "prune_event", "emptying messages that a room can't go on without"),
    Requirement(
        "synapse.storage.databases.main.events_worker",
        "EventsWorkerStore.invalidate_get_event_cache_after_txn",
        "emptying messages that a room can't go on without",
    ),
    Requirement(
        "synapse.storage.databases.main.cache",
        "CacheInvalidationWorkerStore._invalidate_caches_for_room_events_and_stream",
        "emptying messages that a room can't go on without",
    ),
    Requirement("synapse.types", "RoomStreamToken", "naming a place in a room's history"),
    Requirement(
        "synapse.storage.databases.main.events_worker",
        "EventsWorkerStore._maybe_redact_event_row",
        "showing nobody what is over age",
    ),
)

MEDIA_AGE = (
    Requirement(
        "synapse.storage.databases.main.stream",
        "StreamWorkerStore.get_room_max_stream_ordering",
        "following avatars and image packs in room state",
    ),
    Requirement(
        "synapse.storage.databases.main.account_data",
        "AccountDataWorkerStore.get_max_account_data_stream_id",
        "following image packs in account data",
    ),
    Requirement(
        "synapse.storage.databases.main.media_repository",
        "MediaRepositoryStore.store_cached_remote_media",
        "noting when a file of another server came",
    ),
)

ALERT_MAILS = (Requirement("synapse.module_api", "ModuleApi.send_mail", "mails to the operators"),)

UPLOAD_LIMIT = (Requirement("synapse.media.media_storage", "SpamMediaException", "making room after a refused upload"),)

STORED_BYTES = tuple(
    Requirement(
        "synapse.storage.databases.main.media_repository",
        f"MediaRepositoryStore.{name}",
        "counting what is stored",
    )
    for name in (
        "store_local_thumbnail",
        "store_remote_media_thumbnail",
        "store_cached_remote_media",
        "delete_remote_media",
        "delete_url_cache_media",
    )
) + tuple(
    Requirement("synapse.media.media_repository", f"MediaRepository.{name}", "counting what is stored")
    for name in ("_download_remote_file", "_federation_download_remote_file")
)

MEDIA_SERVING = (
    Requirement("synapse.media._base", "ThreadedFileSender.beginFileTransfer", "serving scanned files"),
    Requirement("synapse.media._base", "add_file_headers", "serving scanned files"),
    Requirement("synapse.media.media_repository", "MediaRepository.get_remote_media_info", "fetching remote files"),
    Requirement("synapse.rest.client.media", "ThumbnailResource.on_GET", "serving thumbnails of scanned files"),
    Requirement(
        "synapse.storage.databases.main.media_repository",
        "MediaRepositoryStore.store_cached_remote_media",
        "holding remote files that can't be looked into",
    ),
    Requirement(
        "synapse.storage.database", "DatabasePool.simple_insert_txn", "holding remote files that can't be looked into"
    ),
)

FEDERATION = (
    Requirement("synapse.config.federation", "FederationConfig", "closing the ways to other servers"),
    Requirement(
        "synapse.config.federation",
        "FederationConfig.is_domain_allowed_according_to_federation_whitelist",
        "closing the federation sender",
    ),
    Requirement(
        "synapse.federation.transport.server._base", "Authenticator.authenticate_request", "closing the way in"
    ),
    Requirement(
        "synapse.http.matrixfederationclient", "MatrixFederationHttpClient._send_request", "closing the way out"
    ),
    Requirement("synapse.http.matrixfederationclient", "MatrixFederationRequest", "closing the way out"),
    Requirement("synapse.federation.sender", "FederationSender._send_pdu", "events for the partners that remain"),
    Requirement(
        "synapse.federation.sender",
        "FederationSender._get_per_destination_queue",
        "events for the partners that remain",
    ),
    Requirement(
        "synapse.federation.federation_client",
        "FederationClient.get_room_hierarchy",
        "keeping what removed partners have answered",
    ),
    Requirement(
        "synapse.handlers.room_list",
        "RoomListHandler.get_remote_public_room_list",
        "keeping what removed partners have answered",
    ),
    Requirement("synapse.rest.key.v2.remote_key_resource", "RemoteKey", "closing the key server"),
    Requirement(
        "synapse.media.media_repository", "MediaRepository.get_remote_media", "closing the way to cached files"
    ),
    Requirement(
        "synapse.media.media_repository", "MediaRepository.get_remote_media_info", "closing the way to cached files"
    ),
    Requirement(
        "synapse.storage.databases.main.roommember",
        "RoomMemberWorkerStore.get_invite_for_local_user_in_room",
        "refusing invitations of servers that are not allowed",
    ),
    Requirement("synapse.event_auth", "get_user_power_level", "removing users of servers that are not allowed"),
    Requirement("synapse.event_auth", "get_named_level", "removing users of servers that are not allowed"),
    Requirement(
        "synapse.handlers.room_member",
        "RoomMemberHandler.update_membership",
        "removing users of servers that are not allowed",
    ),
    Requirement("synapse.types", "create_requester", "removing users of servers that are not allowed"),
)

IDENTITY = (
    Requirement("synapse.module_api", "ModuleApi.register_account_validity_callbacks", "learning of logins"),
    Requirement("synapse.module_api", "ModuleApi.set_displayname", "names from the identity provider"),
    Requirement("synapse.handlers.sso", "MappingException", "refusing a login with a page"),
    Requirement("synapse.config.oidc", "OIDCConfig.read_config", "refusing `oidc_providers` beside MAS"),
    Requirement(
        "synapse.storage.databases.main.registration",
        "RegistrationWorkerStore.set_user_locked_status_txn",
        "ending somebody's access",
    ),
    Requirement(
        "synapse.storage.databases.main.registration",
        "RegistrationWorkerStore.record_user_external_id",
        "accounts that are linked",
    ),
    Requirement("synapse.storage.databases.main.registration", "RegistrationWorkerStore.set_server_admin", "roles"),
    Requirement(
        "synapse.storage.databases.main.cache", "CacheInvalidationWorkerStore.invalidate_cache_and_stream", "roles"
    ),
    Requirement(
        "synapse.handlers.deactivate_account", "DeactivateAccountHandler.deactivate_account", "people who left"
    ),
    Requirement("synapse.handlers.register", "RegistrationHandler.register_user", "accounts by SCIM"),
    Requirement(
        "synapse.handlers.register",
        "RegistrationHandler.check_user_id_not_appservice_exclusive",
        "user names that may be given",
    ),
    Requirement("synapse.types", "create_requester", "ending somebody's access"),
    Requirement("synapse.config.oidc", "OidcProviderConfig", "checking `oidc_providers`"),
    Requirement(
        "synapse.storage.databases.main.cache",
        "CacheInvalidationWorkerStore._invalidate_cache_and_stream_bulk",
        "ending tokens for others",
    ),
    Requirement(
        "synapse.storage.databases.main.pusher", "PusherWorkerStore.get_pushers_by_user_id", "ending somebody's access"
    ),
    Requirement("synapse.config.oidc", "OIDC_PROVIDER_CONFIG_SCHEMA", "checking `oidc_providers`"),
    Requirement(
        "synapse.storage.databases.main.registration",
        "RegistrationWorkerStore.set_user_locked_status",
        "locks that are set by hand",
    ),
    Requirement("synapse.config.sso", "SSOConfig", "names of people who have an account"),
    Requirement("synapse.handlers.sso", "SsoHandler._register_mapped_user", "refusing names that no account can have"),
    Requirement("synapse.push.pusherpool", "PusherPool.remove_pusher", "addresses that are no longer somebody's"),
    Requirement(
        "synapse.module_api.callbacks.third_party_event_rules_callbacks",
        "ThirdPartyEventRulesModuleApiCallbacks.on_add_user_third_party_identifier",
        "addresses from the identity provider",
    ),
    Requirement("synapse.handlers.device", "DeviceHandler.delete_all_devices_for_user", "ending somebody's access"),
    Requirement("synapse.handlers.auth", "AuthHandler.delete_access_tokens_for_user", "ending somebody's access"),
    Requirement(
        "synapse.storage.databases.main.registration",
        "RegistrationWorkerStore._record_user_external_id_txn",
        "linking accounts by SCIM",
    ),
    Requirement(
        "synapse.storage.databases.main.cache",
        "CacheInvalidationWorkerStore._invalidate_cache_and_stream",
        "linking accounts by SCIM",
    ),
)

HTTP_EXCHANGE = (
    Requirement("synapse.http.client", "SimpleHttpClient", "asking the homeserver's APIs for the portal"),
    Requirement("synapse.http.client", "BaseHttpClient.request", "asking the homeserver's APIs for the portal"),
    Requirement("synapse.http.client", "read_body_with_max_size", "asking the homeserver's APIs for the portal"),
)

RECOVERY = (
    Requirement("synapse.storage.database", "make_conn", "bringing a restored database up to date before the start"),
    Requirement(
        "synapse.storage.database",
        "LoggingDatabaseConnection.cursor",
        "bringing a restored database up to date before the start",
    ),
    Requirement(
        "synapse.storage.databases.main.purge_events",
        "PurgeEventsStore._purge_room_txn",
        "deleting rooms again after a restore",
    ),
    Requirement("synapse.handlers.device", "DeviceHandler.delete_devices", "telling that a device is gone"),
    Requirement("synapse.handlers.pagination", "PaginationHandler.purge_room", "deleting rooms that were on hold"),
    Requirement(
        "synapse.storage.databases.main.media_repository",
        "MediaRepositoryStore.delete_url_cache_media",
        "noting which files Synapse deletes",
    ),
    Requirement(
        "synapse.storage.databases.main.media_repository",
        "MediaRepositoryStore.delete_remote_media",
        "noting which files Synapse deletes",
    ),
)

BACKUP_COMMAND = (
    Requirement("synapse.media.filepath", "MediaFilePaths.local_media_filepath", "finding the files of a backup"),
    Requirement("synapse.storage.engines", "create_engine", "opening the database of a backup"),
    Requirement("synapse.util", "SYNAPSE_VERSION", "noting what has made a backup"),
)


def check(*groups: Sequence[Requirement]) -> None:
    """Make sure that everything in some groups is there.

    Raises:
        UnsupportedSynapseError: naming the first thing that is missing and the versions that have all.
    """
    for requirement in (requirement for group in groups for requirement in group):
        if not _exists(requirement):
            raise UnsupportedSynapseError(
                f"this Synapse has no {requirement.module}.{requirement.name}, which synapse_bum needs for"
                f" {requirement.purpose}. Tested with Synapse 1.133.0, 1.143.0 and 1.163.2: use one of these, or a"
                " newer synapse_bum"
            )


def _exists(requirement: Requirement) -> bool:
    try:
        found: object = importlib.import_module(requirement.module)
        for part in requirement.name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return True
