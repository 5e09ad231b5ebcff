"""ControlNet of STAR: a copy of the UNet's encoder that sees the input."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from star.models.backbones.i2vgen.blocks import (
    NUM_GROUPS,
    per_frame,
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
from star.registry import MODELS


@MODELS.register_module()
class UNetControlNet(nn.Module):
    """Turn the low-quality clip's latents into residuals for the backbone.

    A new one gives zeros. The defaults are the official sizes: 629,886,414
    parameters.

    Args:
        in_dim: channels of the latents, noised and low-quality.
        dim: as of the `I2VGenUNet` it steers, as are all that follow.
        dim_mult: see `I2VGenUNet`.
        num_res_blocks: see `I2VGenUNet`.
        head_dim: see `I2VGenUNet`.
        num_heads: see `I2VGenUNet`.
        context_dim: see `I2VGenUNet`.
        attn_levels: see `I2VGenUNet`.
        dropout: see `I2VGenUNet`.
        liem: see `I2VGenUNet`.
        checkpointing: see `I2VGenUNet`.
        norm_groups: see `I2VGenUNet`.

    Raises:
        ValueError: channels that do not divide into groups or heads.
    """

    def __init__(
        self,
        in_dim: int = 4,
        dim: int = 320,
        dim_mult: Sequence[int] = (1, 2, 4, 4),
        num_res_blocks: int = 2,
        head_dim: int = 64,
        num_heads: int = 8,
        context_dim: int = 1024,
        attn_levels: int = 3,
        dropout: float = 0.1,
        liem: Mapping | None = OFFICIAL_LIEM,
        checkpointing: bool = False,
        norm_groups: int = NUM_GROUPS,
    ) -> None:
        super().__init__()
        sizes = UNetSizes(
            in_dim=in_dim,
            dim=dim,
            dim_mult=tuple(dim_mult),
            num_res_blocks=num_res_blocks,
            head_dim=head_dim,
            num_heads=num_heads,
            context_dim=context_dim,
            attn_levels=attn_levels,
            dropout=dropout,
            liem=liem,
            checkpointing=checkpointing,
        )
        self.encoder = UNetEncoder(sizes)
        self.hint_conv = zero_init(nn.Conv2d(in_dim, dim, 3, padding=1))
        self.zero_convs = nn.ModuleList(
            zero_init(nn.Linear(d, d)) for d in self.encoder.skip_dims
        )
        middle_dim = sizes.dims[-1]
        self.middle_out = zero_init(nn.Linear(middle_dim, middle_dim))
        set_norm_groups(self, norm_groups)

    @property
    def size_multiple(self) -> tuple[int, int]:
        """Latent height and width are `size_multiple * k + size_remainder`."""
        return self.encoder.sizes.multiple

    @property
    def size_remainder(self) -> tuple[int, int]:
        """Remainder of latent height and width; see `size_multiple`."""
        return self.encoder.sizes.remainder

    def project_text(self, text: Tensor) -> ProjectedText:
        """Compute all keys and values of the text, once per clip.

        Args:
            text: embeddings, (N, L, context_dim).

        Returns:
            What `forward` takes in place of `text`.
        """
        return project_text(self, text)

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        text: Tensor | ProjectedText,
        z_lq: Tensor,
    ) -> list[Tensor]:
        """Compute the control.

        Args:
            z_t: noised latents, (N, in_dim, T, H, W).
            t: timesteps, (N,) int64.
            text: embeddings, (N, L, context_dim), or what `project_text`
                gave; one clip's text serves all N.
            z_lq: latents of the low-quality clip, (N, in_dim, T, H, W).

        Returns:
            A residual for each input block and, last, one for the middle
            block, each (N, T, h, w, C).

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
        )
        control = [
            conv(x) for conv, x in zip(self.zero_convs, outputs, strict=True)
        ]
        return [*control, self.middle_out(middle)]
