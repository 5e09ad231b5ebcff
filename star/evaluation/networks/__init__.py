"""Networks of the metrics."""

from star.evaluation.networks.dover import DOVERNetwork
from star.evaluation.networks.flow import RAFT

__all__ = ['RAFT', 'DOVERNetwork']
