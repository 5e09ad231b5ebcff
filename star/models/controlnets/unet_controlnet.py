"""ControlNet of STAR: a copy of the UNet's encoder that sees the input."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from star.models.backbones.i2vgen.blocks import (
    per_frame,
    set_time_padding,
    zero_init,
)
from star.models.backbones.i2vgen.encoder import (
    ProjectedText,
    UNetEncoder,
    UNetSizes,
    check_latent,
    project_text,
    to_channels_last,
)
from star.models.layers.liem import OFFICIAL_LIEM
from star.models.layers.norm import set_norm_groups
from star.models.layers.product import ProductLinear
from star.models.layers.step_memory import StepMemory
from star.registry import MODELS


@MODELS.register_module()
class UNetControlNet(nn.Module):
    """Turn the low-quality clip's latents into residuals for the backbone.

    A new one gives zeros. The defaults are the official sizes: 629,886,414
    parameters.

    Args:
        in_dim: channels of the latents, noised and low-quality.
        sizes: as of the `I2VGenUNet` it steers.
        dropout: as for `I2VGenUNet`.
        liem: as for `I2VGenUNet`.
        checkpointing: as for `I2VGenUNet`.

    Raises:
        ValueError: channels that do not divide into groups or heads.
        TypeError: `sizes` has an unknown key.
    """

    reuses_features = True

    def __init__(
        self,
        in_dim: int = 4,
        sizes: Mapping[str, Any] | None = None,
        dropout: float = 0.1,
        liem: Mapping | None = OFFICIAL_LIEM,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        every = UNetSizes(
            in_dim=in_dim,
            dropout=dropout,
            liem=liem,
            checkpointing=checkpointing,
            **(sizes or {}),
        )
        self.encoder = UNetEncoder(every)
        self.hint_conv = zero_init(nn.Conv2d(in_dim, every.dim, 3, padding=1))
        self.zero_convs = nn.ModuleList(
            zero_init(ProductLinear(d, d)) for d in self.encoder.skip_dims
        )
        middle_dim = every.dims[-1]
        self.middle_out = zero_init(ProductLinear(middle_dim, middle_dim))
        set_norm_groups(self, every.norm_groups)
        set_time_padding(self, every.time_padding)

    def project_text(self, text: Tensor) -> ProjectedText:
        """Compute all keys and values of the text, once per clip.

        Args:
            text: embeddings, (N, L, context_dim).

        Returns:
            An argument for `forward` in place of `text`.
        """
        return project_text(self, text)

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        text: Tensor | ProjectedText,
        z_lq: Tensor,
        memory: StepMemory | None = None,
    ) -> list[Tensor]:
        """Compute the control.

        Args:
            z_t: noised latents, (N, in_dim, T, H, W).
            t: timesteps, (N,) int64.
            text: embeddings, (N, L, context_dim), or the result of
                `project_text`; the text of one clip serves all N.
            z_lq: latents of the low-quality clip, (N, in_dim, T, H, W).
            memory: of the backbone's earlier steps, or None.

        Returns:
            A residual for each input block and, last, one for the middle
            block, each (N, T, h, w, C). If the backbone takes deep features
            from `memory`: one for the first input block.

        Raises:
            ValueError: latents of a wrong shape.
        """
        check_latent(z_t, self.encoder.sizes)
        check_latent(z_lq, self.encoder.sizes)
        if isinstance(text, Tensor):
            text = self.project_text(text)
        z_lq = to_channels_last(z_lq, self.hint_conv)
        hint = per_frame(self.hint_conv, z_lq)
        middle, outputs = self.encoder(
            to_channels_last(z_t, self.hint_conv),
            self.encoder.embed(t),
            iter(text),
            hint,
            memory,
        )
        if middle is None:
            return [self.zero_convs[0](outputs[0])]
        control = [
            conv(x) for conv, x in zip(self.zero_convs, outputs, strict=True)
        ]
        return [*control, self.middle_out(middle)]
