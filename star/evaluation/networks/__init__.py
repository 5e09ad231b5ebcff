"""Networks of the metrics."""

from star.evaluation.networks.dover import DOVERNetwork
from star.evaluation.networks.flow import RAFT
from star.evaluation.networks.lpips import LPIPSNetwork

__all__ = ['RAFT', 'DOVERNetwork', 'LPIPSNetwork']
