"""A teacher's path in the files of a latent cache."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from star.structures import TeacherPath

Cast = Callable[[Tensor], Tensor]


def pack_path(path: TeacherPath, place: int, cast: Cast) -> dict[str, Tensor]:
    """Name the tensors of an item's path; see `path_facts` for the rest.

    Args:
        path: of the teacher, with `no_text`.
        place: of the item within its file.
        cast: rounds a tensor to the dtype of the cache.
    """
    return {
        f'teacher.{place}': cast(path.z0),
        f'x_t.{place}': cast(path.x_t),
        f'v.{place}': cast(path.v),
    }


def path_facts(path: TeacherPath) -> dict[str, Any]:
    """Return what of a path is no tensor, in JSON's terms."""
    return {'t': path.t, 'noise_seed': path.noise_seed}


def unpack_path(
    facts: Mapping[str, Any], place: int, read: Callable[[str], Tensor]
) -> TeacherPath:
    """Read an item's path, in float32.

    Args:
        facts: of `path_facts`.
        place: of the item within its file.
        read: reads a tensor by its name.
    """
    z0, x_t, v = (
        read(f'{name}.{place}').float() for name in ('teacher', 'x_t', 'v')
    )
    no_text = read('no_text').float()
    return TeacherPath(z0, facts['t'], x_t, v, facts['noise_seed'], no_text)
