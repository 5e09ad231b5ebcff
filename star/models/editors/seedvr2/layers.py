"""Layers of SeedVR2's transformers that see each token by itself."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-5
ATTENTION, MLP = 0, 1  # layers of a block
_HIDDEN_MULTIPLE = 256
_KINDS = ('shift', 'scale', 'gate')  # of a modulation
_SINUSOID = 256


class Modulation(nn.Module):
    """Shift, scale and gate of attention and MLP.

    There is no "1 +": the stored numbers carry it.

    Args:
        dim: channels of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        for layer in ('attn', 'mlp'):
            self.register_parameter(
                f'{layer}_shift', nn.Parameter(torch.zeros(dim))
            )
            for kind in ('scale', 'gate'):
                self.register_parameter(
                    f'{layer}_{kind}', nn.Parameter(torch.ones(dim))
                )

    def prepare(self, x: Tensor, emb: Tensor, layer: int) -> Tensor:
        """Normalise and modulate the input of a layer.

        Args:
            x: (..., C).
            emb: of the timestep, (C, 2, 3) float32.
            layer: `ATTENTION` or `MLP`.
        """
        shift, scale, _ = self._vectors(emb, layer)
        return normalise(x).mul_(scale).add_(shift).to(x.dtype)

    def close(self, out: Tensor, emb: Tensor, layer: int) -> Tensor:
        """Multiply a layer's output by its gate."""
        return out * self._vectors(emb, layer)[2].to(out.dtype)

    def _vectors(self, emb: Tensor, layer: int) -> list[Tensor]:
        name = 'attn' if layer == ATTENTION else 'mlp'
        own = [self.get_parameter(f'{name}_{kind}') for kind in _KINDS]
        return [
            stored.float() + e
            for stored, e in zip(own, emb[:, layer].unbind(-1), strict=True)
        ]


class GatedMLP(nn.Module):
    """SwiGLU without biases.

    Args:
        dim: channels of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = 8 * dim // 3
        hidden += -hidden % _HIDDEN_MULTIPLE
        self.proj_in_gate = nn.Linear(dim, hidden, bias=False)
        self.proj_out = nn.Linear(hidden, dim, bias=False)
        self.proj_in = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of tokens (..., C)."""
        return self.proj_out(F.silu(self.proj_in_gate(x)) * self.proj_in(x))


class PlainMLP(nn.Module):
    """Two layers with a GELU between.

    Args:
        dim: channels of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(dim, 4 * dim)
        self.proj_out = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of tokens (..., C)."""
        return self.proj_out(F.gelu(self.proj_in(x), approximate='tanh'))


class HeadNorm(nn.Module):
    """RMS norm of the channels of each head.

    Args:
        dim: channels of a head.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., D); the result is float32."""
        return normalise(x) * self.weight.float()


class TimeEmbedding(nn.Module):
    """Turns a timestep into shift, scale and gate of attention and MLP.

    Args:
        dim: channels of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(_SINUSOID, dim)
        self.proj_hid = nn.Linear(dim, dim)
        self.proj_out = nn.Linear(dim, 6 * dim)

    def forward(self, t: Tensor) -> Tensor:
        """Embed one timestep (1,): (C, 2, 3) float32."""
        x = sinusoid(t, _SINUSOID).to(self.proj_in.weight)
        x = F.silu(self.proj_in(x))
        x = self.proj_out(F.silu(self.proj_hid(x)))
        return x[0].float().unflatten(0, (-1, 2, 3))


class OutputModulation(nn.Module):
    """Shift and scale before the last layer of the 3B model.

    In the official code they add the attention's part of the timestep's
    embedding, by a collision of keys in a cache; the weights were trained so.

    Args:
        dim: channels of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_shift = nn.Parameter(torch.zeros(dim))
        self.out_scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Modulate normalised tokens (..., C); emb: (C, 2, 3)."""
        shift, scale, _ = emb[:, ATTENTION].unbind(-1)
        x = x * (scale + self.out_scale.float())
        return x + (shift + self.out_shift.float())


def normalise(x: Tensor) -> Tensor:
    """Divide tokens (..., C) by their root mean square, in float32."""
    x = x.float()
    return x * x.square().mean(-1, keepdim=True).add_(EPS).rsqrt_()


def sinusoid(t: Tensor, channels: int = 256) -> Tensor:
    """Embed timesteps: sines, then cosines.

    Args:
        t: (N,), 0 to 1000.
        channels: of the result, an even number.

    Returns:
        (N, channels) float32.
    """
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(1e4) / half * steps)
    return torch.cat([angles.sin(), angles.cos()], -1)
