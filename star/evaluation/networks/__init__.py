"""Networks that only a metric needs."""

from star.evaluation.networks.dover import DOVER
from star.evaluation.networks.flow import RAFT
from star.evaluation.networks.lpips import LPIPSNetwork

__all__ = ['DOVER', 'RAFT', 'LPIPSNetwork']
