"""Alerts: operators are told when the pool fills up, once for each threshold, by log, metric and mail."""

from synapse_bum.storage.alerts.alerts import Alerts, check_mail
from synapse_bum.storage.alerts.tables import ALERTS

__all__ = ["ALERTS", "Alerts", "check_mail"]
