"""Base class of the methods with a network that was trained elsewhere."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.models.contracts import Events
from star.models.data_preprocessor import PEAKS
from star.models.editors.base import Baseline, FrameWindow, Restored
from star.models.editors.recipe import Recipe
from star.models.restoration.options import RestoreOptions
from star.utils.state_dicts import find_misfits
from star.utils.tensor_files import read_state
from star.video.padding import crop, pad_reflect, pad_replicate
from star.video.tiling import Tile, both_axes, plan_tiles


class NetworkBaseline(Baseline):
    """Restores clips with a network: padding, tiles and weights.

    A subclass calls this constructor, sets `network`, and defines
    `restore_frames`. Weights come with `load_weights`, which
    `star.apis.init_model` calls with the files of `weight_files`; without
    weights nothing is restored.

    Attributes:
        network: with all weights, and no others.
        wrappers: keys under which files hold the state dict; the first that
            a file has counts, and without any the file is the state dict.
        state: memory that `restore_frames` passes to the next window; None
            at the start of a clip. Each tile has its own.
        loaded: whether the network has weights.

    Args:
        recipe: of the method.
        weights: file, or name of a published one, see `weight_files.FILES`.
        window: as for `Baseline`.
        overlap: as for `Baseline`.
        tile: side of a spatial tile in pixels of the input; 0 for no tiles.
        tile_overlap: pixels that neighbouring tiles share.

    Raises:
        ValueError: a value is out of range.
    """

    network: nn.Module
    takes_16_bit = True
    wrappers: tuple[str, ...] = ('params_ema', 'params')

    def __init__(
        self,
        recipe: Recipe,
        weights: str | None = None,
        window: int | None = None,
        overlap: int | None = None,
        tile: int = 0,
        tile_overlap: int = 32,
    ) -> None:
        super().__init__(recipe, window, overlap)
        self.weights, self.loaded = weights, False
        self.state: Any = None
        self.register_load_state_dict_post_hook(_mark_loaded)
        self.restore_options = replace(
            self.restore_options,
            tile=tile * self._scale,
            tile_overlap=tile_overlap * self._scale,
        )
        self.check_options(self.restore_options)

    @abstractmethod
    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore consecutive frames.

        Args:
            x: (t, 3, h, w) RGB in [0, 1] in the network's dtype and on its
                device, h and w at least `min_size` and multiples of
                `size_multiple`; may be overwritten.

        Returns:
            (t, 3, scale * h, scale * w), not clamped.
        """

    def start_clip(self) -> None:
        """Clear the memory: the next window is the first of a clip or tile."""
        self.state = None

    def rename(self, name: str) -> str | None:
        """Translate a name in a file into the network's.

        Args:
            name: in the file.

        Returns:
            The network's name; None for a tensor that it does not need.
        """
        return name

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths or names of published files."""
        return (self.weights,)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        return super().options_used | {'tile', 'tile_overlap'}

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with.

        Args:
            options: of a restoration.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        super().check_options(options)
        if not options.tile:
            return
        sides, shared = self._tile_of(options)
        least = max(self.recipe.min_size, shared + self.recipe.size_multiple)
        if min(sides) < least:
            raise ValueError(
                f'`tile` must be at least {least * self._scale} output pixels '
                f'for {type(self).__name__}, got {options.tile}'
            )

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; the network's weights take the dtype."""
        self.network.to(dtype)
        self.to(device)

    def load_weights(self, *paths: str | Path) -> None:
        """Load the files of `weight_files`; every tensor must fit.

        Args:
            paths: one file, `.safetensors` or any that `torch.save` wrote;
                no code in it is run. A subclass may take several.

        Raises:
            ValueError: the file cannot be read or is another network's.
        """
        (path,) = paths
        self.network.load_state_dict(self.read_state(path), strict=True)
        self.loaded = True

    def read_state(
        self, path: str | Path, network: nn.Module | None = None
    ) -> dict[str, Tensor]:
        """Read a file's tensors under the network's names.

        Args:
            path: as for `load_weights`.
            network: the tensors must fit it; None for `network`.

        Raises:
            ValueError: the file cannot be read or is another network's.
        """
        given = read_state(path, self.wrappers)
        named = {self.rename(name): tensor for name, tensor in given.items()}
        state = {k: v for k, v in named.items() if k is not None}
        own = (self.network if network is None else network).state_dict()
        misfits = find_misfits(own, state)
        if misfits:
            raise ValueError(
                f'`weights`: {path} does not fit {type(self).__name__}, '
                f'tensors: {misfits}'
            )
        return state

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore frames as a clip of their own."""
        return self.restore_alone(frames)

    def pack_state(self, state: Any) -> Mapping[str, Tensor] | None:
        """Return the state of a clip or tile as tensors, to be kept in a file.

        Args:
            state: as `restore_frames` left it, not None.

        Returns:
            Tensors by name; None if this state cannot be kept.
        """
        return {'state': state} if isinstance(state, Tensor) else None

    def unpack_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """Make the state of what `pack_state` returned, on any device."""
        return tensors['state']

    def pack_memory(self, memory: dict[int, Any]) -> dict[str, Tensor] | None:
        """Return the states of all tiles as tensors; None if they cannot."""
        packed: dict[str, Tensor] = {}
        for tile, state in memory.items():
            if state is None:
                continue
            tensors = self.pack_state(state)
            if tensors is None:
                return None
            packed |= {f'{tile}.{name}': t for name, t in tensors.items()}
        return packed

    def unpack_memory(self, tensors: dict[str, Tensor]) -> dict[int, Any]:
        """Make the states of all tiles of what `pack_memory` returned."""
        device = next(self.network.parameters()).device
        tiles: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            tile, _, name = key.partition('.')
            tiles.setdefault(int(tile), {})[name] = tensor.to(device)
        return {tile: self.unpack_state(t) for tile, t in tiles.items()}

    def restore_windows(
        self,
        windows: Iterator[FrameWindow],
        options: RestoreOptions,
        memory: dict[int, Any],
        events: Events,
    ) -> Iterator[Restored]:
        """Restore the windows of one clip, in order.

        Args:
            windows: of the clip.
            options: of the restoration.
            memory: the state of each tile, by its number.
            events: receives nothing.

        Yields:
            Restored windows, (t, 3, H, W) with values of the same range.

        Raises:
            ValueError: the network has no weights.
        """
        self.check_loaded()
        if self.shares_work:
            device = next(self.network.parameters()).device
            yield from self.spread_windows(
                self.restore_window, windows, options, device
            )
            return
        for window in windows:
            yield self.restore_window(window, options, memory), window.last

    def restore_window(
        self,
        window: FrameWindow,
        options: RestoreOptions,
        memory: dict[int, Any] | None = None,
    ) -> Tensor:
        """Restore one window.

        Args:
            window: of the clip.
            options: of the restoration.
            memory: the state of each tile, by its number; None for none.

        Returns:
            (t, 3, H, W) with values of the range of the window's, float32.
        """
        clip, weight = window.clip, next(self.network.parameters())
        peak = PEAKS[clip.dtype]
        x = clip.to(weight.device)
        if peak > 255:  # half precision ends at 65504
            x = x.float().div_(peak).to(weight.dtype)
        else:
            x = x.to(weight.dtype).div_(peak)
        states = {} if memory is None else memory
        out = self._restore(self._pad(x), options, states)
        height, width = (side * self._scale for side in clip.shape[-2:])
        return crop(out, height, width) * peak

    def _restore(
        self, x: Tensor, options: RestoreOptions, states: dict[int, Any]
    ) -> Tensor:
        """Restore a padded window, tile by tile; float32."""
        if not options.tile:
            return self._restore_tile(x, 0, states)
        size = [side * self._scale for side in x.shape[-2:]]
        whole = x.new_zeros((*x.shape[:2], *size), dtype=torch.float32)
        for index, tile in enumerate(self.plan_tiles(size, options)):
            edges = (tile.top, tile.bottom, tile.left, tile.right)
            top, bottom, left, right = (edge // self._scale for edge in edges)
            cut = x[..., top:bottom, left:right].clone()
            out = self._restore_tile(cut, index, states)
            out = out * tile.weight.to(out.device)
            whole[..., tile.top : tile.bottom, tile.left : tile.right] += out
        return whole

    def _restore_tile(
        self, x: Tensor, index: int, states: dict[int, Any]
    ) -> Tensor:
        """Restore one tile of a window, with the memory of this tile."""
        if index in states:
            self.state = states[index]
        else:
            self.start_clip()
        out = self.restore_frames(x).float()
        states[index], self.state = self.state, None
        return out

    def plan_tiles(
        self, size: list[int], options: RestoreOptions
    ) -> list[Tile]:
        """Plan tiles in output pixels, on the grid of the input."""
        sides, shared = self._tile_of(options)
        height, width = (side * self._scale for side in sides)
        multiple = self.recipe.size_multiple * self._scale
        return plan_tiles(
            size[0],
            size[1],
            (height, width),
            shared * self._scale,
            (multiple, multiple),
        )

    def _tile_of(self, options: RestoreOptions) -> tuple[tuple[int, int], int]:
        """Return a tile's sides and overlap in pixels of the input."""
        height, width = both_axes(options.tile)
        sides = (height // self._scale, width // self._scale)
        return sides, options.tile_overlap // self._scale

    @property
    def _scale(self) -> int:
        return int(self.recipe.scale)

    def _pad(self, x: Tensor) -> Tensor:
        """Pad at the bottom and on the right to a size for the network."""
        multiple, least = self.recipe.size_multiple, self.recipe.min_size
        height, width = x.shape[-2:]
        bottom, right = (
            -(-max(side, least) // multiple) * multiple - side
            for side in (height, width)
        )
        reflect = self.recipe.pad == 'reflect'
        pad = pad_reflect if reflect else pad_replicate
        return pad(x, bottom, right)


def _mark_loaded(model: nn.Module, _: Any) -> None:
    assert isinstance(model, NetworkBaseline)
    model.loaded = True
