"""How many rooms and messages there were on each day: counted once a day, kept for two years."""

from synapse_bum.portal.statistics.api import StatisticsApi
from synapse_bum.portal.statistics.duty import Counting
from synapse_bum.portal.statistics.records import STATISTICS

__all__ = ["STATISTICS", "Counting", "StatisticsApi"]
