"""Perceptual, pixel and flicker losses on decoded clips."""

import torch
from einops import rearrange
from torch import Tensor, nn

from star.perceptual.lpips import LPIPSNetwork, check_net, load_lpips
from star.registry import MODELS
from star.utils.checks import check_factors, check_least


@MODELS.register_module()
class PerceptualLoss(nn.Module):
    """Compares decoded clips by LPIPS, L1 and flicker.

    Each clip counts with (1 - t / t_max)**t_power, because at high t the best
    estimate of the clean clip is blurred. The paper has no such loss.

    The network of LPIPS is loaded at its first use, so that a model can be
    built without it. It is not in the state dict.

    Args:
        net: trunk of LPIPS, 'squeeze', 'alex' or 'vgg'.
        weights: file with the state dict of the `lpips` package's network,
            trunk included; None finds or downloads the published files.
        lpips: weight of LPIPS; with 0 its network is not loaded.
        l1: weight of the mean absolute difference of pixels.
        temporal: weight of the mean absolute difference between the two
            clips' changes from frame to frame: flicker.
        t_power: how fast the loss falls with t; 0 for not at all.
        weight: factor of the loss.
        num_timesteps: of the noise schedule, >= 2.

    Raises:
        ValueError: `net` is unknown, or a number is negative.
    """

    def __init__(
        self,
        net: str = 'squeeze',
        weights: str | None = None,
        lpips: float = 1.0,
        l1: float = 1.0,
        temporal: float = 0.0,
        t_power: float = 1.0,
        weight: float = 1.0,
        num_timesteps: int = 1000,
    ) -> None:
        super().__init__()
        check_net(net)
        self.factors = {'lpips': lpips, 'l1': l1, 'temporal': temporal}
        others = {'t_power': t_power, 'weight': weight}
        check_factors(self.factors | others)
        check_least('num_timesteps', num_timesteps, 2)
        self.net = net
        self.weights = weights
        self.t_power = t_power
        self.weight = weight
        self.num_timesteps = num_timesteps
        self._network: list[nn.Module] = []  # hidden from the state dict

    def forward(self, pred: Tensor, gt: Tensor, t: Tensor) -> Tensor:
        """Return the weighted loss of a batch.

        Args:
            pred: decoded estimate of the clean clips, (N, C, T, H, W).
            gt: ground truth in [-1, 1], of the same shape.
            t: the timestep of each clip, (N,).

        Raises:
            ValueError: the network's weights cannot be loaded.
        """
        return self.terms(pred, gt, t)['loss_perceptual']

    def terms(self, pred: Tensor, gt: Tensor, t: Tensor) -> dict[str, Tensor]:
        """Return the loss, and numbers to log.

        Args:
            pred: as for `forward`, like `gt` and `t`.

        Returns:
            `loss_perceptual`; without gradient the means over the batch of
            the distances that have a weight, without weights:
            `perceptual_lpips`, `perceptual_l1`, `perceptual_temporal`.
        """
        with torch.autocast(pred.device.type, enabled=False):
            distances = self.distances(pred.float(), gt.float())
        last = self.num_timesteps - 1
        share = (1 - t.float() / last) ** self.t_power
        each = share.new_zeros(len(share))
        for name, distance in distances.items():
            each = each + self.factors[name] * distance
        watched = {
            f'perceptual_{name}': distance.detach().mean()
            for name, distance in distances.items()
        }
        return {
            'loss_perceptual': self.weight * (share * each).mean(),
            **watched,
        }

    def distances(self, pred: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Compute the distances that have a weight, (N,) each."""
        found = {}
        if self.factors['lpips']:
            found['lpips'] = self._lpips(pred, gt)
        if self.factors['l1']:
            found['l1'] = _absolute(pred - gt)
        if self.factors['temporal'] and pred.shape[2] > 1:
            found['temporal'] = _absolute((pred - gt).diff(dim=2))
        return found

    def network(self, device: torch.device) -> nn.Module:
        """Return LPIPS's network on a device; load it if it is not yet."""
        if not self._network:
            self._network.append(load_lpips(self.weights, self.net))
        network = self._network[0]
        if next(network.parameters()).device != device:
            network.to(device)
        return network

    def skip_weights(self) -> None:
        """Build the network without its weights, to count what it takes."""
        self._network[:] = [LPIPSNetwork(self.net).requires_grad_(False)]

    def _lpips(self, pred: Tensor, gt: Tensor) -> Tensor:
        frames = [rearrange(x, 'n c t h w -> (n t) c h w') for x in (pred, gt)]
        values = self.network(pred.device)(*frames)
        return values.reshape(len(pred), -1).mean(1)


def _absolute(x: Tensor) -> Tensor:
    return x.abs().flatten(1).mean(1)
