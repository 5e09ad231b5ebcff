"""TensorBoard as a backend of mmengine's visualizer."""

import logging
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import VISBACKENDS
from mmengine.visualization import BaseVisBackend
from torch import Tensor


@VISBACKENDS.register_module()
class TensorBoardBackend(BaseVisBackend):
    """Writes event files that stay complete when the run is killed.

    mmengine's own backend raises an error if TensorBoard is not installed,
    and keeps up to two minutes of numbers in memory. This one warns once and
    lets the run continue, and it flushes the numbers each time.

    Args:
        save_dir: folder of the event files, created at the first use.
    """

    _env_initialized: bool  # set by mmengine

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self._writer: Any = None

    @property
    def experiment(self) -> Any:
        """The `SummaryWriter`, or None if TensorBoard is not installed."""
        if not self._env_initialized:  # on the first rank only
            self._init_env()
            self._env_initialized = True
        return self._writer

    def _init_env(self) -> None:
        """Open an event file."""
        self._writer = _open_writer(self._save_dir)

    def add_config(self, config: Config) -> None:
        """Write the config as a block of code."""
        if self.experiment is not None:
            lines = config.pretty_text.splitlines()
            text = '\n'.join(f'    {line}' for line in lines)
            self.experiment.add_text('config', text)

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Write an image, (H, W, 3) uint8 RGB."""
        if self.experiment is not None:
            self.experiment.add_image(name, image, step, dataformats='HWC')

    def add_scalar(
        self, name: str, value: float | Tensor, step: int = 0
    ) -> None:
        """Write a number."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self,
        scalar_dict: dict,
        step: int = 0,
        file_path: str | None = None,
    ) -> None:
        """Write numbers and flush them to the disk."""
        if self.experiment is not None:
            for name, value in scalar_dict.items():
                self.experiment.add_scalar(name, value, step)
            self.experiment.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


def _open_writer(folder: str) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print_log(
            'TensorBoard is not installed (pip install tensorboard): numbers '
            'go only to the log and to scalars.json',
            logger='current',
            level=logging.WARNING,
        )
        return None
    return SummaryWriter(folder)
