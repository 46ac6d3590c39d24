"""The portal module: configuration in, services built, one resource registered."""

import logging
from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import file_remover
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.http_exchange import HttpExchange
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.portal.accounts.begun_deletions import BEGUN_DELETIONS, BegunDeletions
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.config import MasConfig, PortalConfig, crosses_a_network_in_the_clear
from synapse_bum.portal.configuration import ConfigurationApi
from synapse_bum.portal.files.file_deletion import FileDeletionApi
from synapse_bum.portal.forms.kept_drafts import DRAFTS, KeptDrafts
from synapse_bum.portal.frame import Frame
from synapse_bum.portal.homeserver_api.homeserver_connection import HomeserverConnection
from synapse_bum.portal.homeserver_api.steps import StepLog
from synapse_bum.portal.login.authentication_service import AuthenticationService, Client
from synapse_bum.portal.login.login import Login
from synapse_bum.portal.login.oidc_login import OidcLogin
from synapse_bum.portal.page_table import PageTable
from synapse_bum.portal.portal_site import PortalSite
from synapse_bum.portal.sessions.records import Records
from synapse_bum.portal.sessions.sealing import KeyRing
from synapse_bum.portal.sessions.session import Limits
from synapse_bum.portal.sessions.session_keeper import SessionKeeper
from synapse_bum.portal.sessions.session_tokens import GRANTS, SessionTokens
from synapse_bum.portal.sessions.sweep import Sweep
from synapse_bum.portal.statistics import STATISTICS, Counting, StatisticsApi
from synapse_bum.portal.support import SUPPORT, Post, SupportApi, mails_go_out
from synapse_bum.portal.tables import PORTAL as PORTAL_TABLES
from synapse_bum.portal.visits import Visits
from synapse_bum.rest import api_routes
from synapse_bum.secret_store import SecretStore, read_secret_file

logger = logging.getLogger(__name__)


class PortalModule:
    """`synapse_bum.portal.PortalModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> PortalConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(PortalConfig, config)

    def __init__(self, config: PortalConfig, api: ModuleApi) -> None:
        requirements.check(
            requirements.DATABASE,
            requirements.LOG_CONTEXTS,
            requirements.HTTP_EXCHANGE,
            requirements.ALERT_MAILS,
            requirements.MEDIA_DELETION,
        )
        if shared_object(api, PortalModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.portal.PortalModule is loaded twice; remove one entry")
        if crosses_a_network_in_the_clear(config.admin_api_url):
            logger.warning(
                "`config.admin_api_url` is %s: access tokens of administrators cross the network unencrypted; use https"
                " unless that network is closed",
                config.admin_api_url,
            )
        database = Database(api, PORTAL_TABLES, STATISTICS, SUPPORT, GRANTS, DRAFTS, BEGUN_DELETIONS)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        StatisticsApi(database, show_activity=config.show_activity).add_to(routes)
        ConfigurationApi(api).add_to(routes)
        FileDeletionApi(api, database, file_remover(api, database)).add_to(routes)
        email = config.support.email if mails_go_out(api, config.support.email) else None
        SupportApi(api, database, mails_go_out=email is not None, support_email=config.support.email).add_to(routes)
        keys = KeyRing(SecretStore(database), config.session_key_path)
        table = PageTable.of_all()
        frame = Frame(config, api.server_name, table.menu())
        records = Records(database)
        exchange = HttpExchange(api)
        connection = HomeserverConnection(exchange, config.admin_api_url)
        service = None if config.mas is None else AuthenticationService(api, exchange, connection, _client(config.mas))
        tokens = SessionTokens(api, database, keys, connection=connection, service=service)
        limits = Limits(config.session_lifetime_ms, config.session_absolute_ms)
        keeper = SessionKeeper(keys, records, limits, tokens=tokens, connection=connection)
        drafts = KeptDrafts(database, keys)
        if api.should_run_background_tasks():
            leases = Leases(api, database)
            Counting(api, database, leases, with_activity=config.show_activity).start()
            Post(api, database, email=email, lifetime=config.audit_lifetime).start()
            Sweep(api, leases, tokens=tokens, records=records, drafts=drafts).start()
        login = Login(frame, keeper, connection, api.public_baseurl, drafts=drafts, is_delegated=service is not None)
        visits = Visits(
            api,
            config,
            frame=frame,
            keeper=keeper,
            records=records,
            login=login,
            steps=StepLog(api, database),
            deletions=BegunDeletions(database, api.get_current_time_msec),
        )
        site = PortalSite(
            api,
            config,
            frame=frame,
            table=table,
            keeper=keeper,
            login=login,
            oidc=None if service is None else OidcLogin(login, keeper, service),
            visits=visits,
        )
        api.register_web_resource(PORTAL, site)
        database.start()


def _client(config: MasConfig) -> Client:
    return Client(config.client_id, read_secret_file(config.client_secret_path, ("mas", "client_secret_path")))
