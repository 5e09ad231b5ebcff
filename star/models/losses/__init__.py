"""Training losses."""

from star.models.losses.velocity_loss import VelocityLoss

__all__ = ['VelocityLoss']
