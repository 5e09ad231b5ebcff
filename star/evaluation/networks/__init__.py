"""Networks that only a metric needs."""

from star.evaluation.networks.flow import RAFT

__all__ = ['RAFT']
