"""Runner extras."""

from star.engine.hooks import InitFromDataHook
from star.engine.optim_wrapper import BFloat16OptimWrapper

__all__ = ['BFloat16OptimWrapper', 'InitFromDataHook']
