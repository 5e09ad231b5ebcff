"""Film pictures with a moving camera.

    python -m projects.small_models.tools.film_pictures PICTURES DST --count N

A network that has seen few clips restores few kinds of content. Here pictures
(photographs, artwork), cut-outs (pictures with transparency) and drawings
(letters, lines, toy blocks, see draw_pictures.py) move over one another. Each
film is written as an `.npy` file, (T, S, S, 3) uint8, as prepare_clips.py
writes clips. Films are rendered at twice their size and averaged down, so that
they are sharp without aliasing. Next: degrade_clips.py.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from projects.small_models.tools.draw_pictures import (
    Rng,
    draw_face,
    draw_graphic,
    draw_letters,
    log_uniform,
    project_block,
    rotation,
)
from star.cli.common import DONE, Parser, execute, number, say
from star.utils.files import atomic_folder

PICTURES = {'.jpg', '.jpeg', '.png', '.webp'}
FONTS = {'.ttf', '.otf'}
TWICE = 2  # rendered so much larger
_MOST = 2600  # longer side of a picture that is kept in memory
_FLAT = 4.0  # median change between neighbours below which a film is flat


@dataclass(frozen=True)
class Sources:
    """Hold the material of films.

    Args:
        pictures: (H, W, 3) uint8 each.
        cutouts: (H, W, 4) uint8 each.
        fonts: files.
    """

    pictures: list[np.ndarray]
    cutouts: list[np.ndarray]
    fonts: list[Path]


@dataclass(frozen=True)
class Motion:
    """A smooth path with some shake, one entry a frame.

    Args:
        shift: (T, 2), pixels of the film.
        angle: (T,), radians.
        zoom: (T,), factors.
    """

    shift: np.ndarray
    angle: np.ndarray
    zoom: np.ndarray


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('film_pictures', __doc__)
    add, count = parser.add_argument, number(int, 1)
    add('pictures', type=Path, help='folder, searched with its subfolders')
    add('dst', type=Path, help='folder for .npy files, a new one')
    add('--count', type=count, required=True, help='films')
    add('--frames', type=count, default=10)
    add('--size', type=count, default=192, help='side of a film, pixels')
    add('--cutouts', type=Path, help='folder of PNGs with transparency')
    add('--fonts', type=Path, help="folder; default: Pillow's only font")
    add('--seed', type=number(int, 0), default=0)
    return parser.parse(words)


def find_files(folder: Path | None, suffixes: set[str]) -> list[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise ValueError(f'no such folder: {folder}')
    files = (p for p in folder.rglob('*') if p.suffix.lower() in suffixes)
    return sorted(files)


def read_picture(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        picture = image.convert(mode)
    picture.thumbnail((_MOST, _MOST), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def read_sources(args: argparse.Namespace) -> Sources:
    pictures = find_files(args.pictures, PICTURES)
    if not pictures:
        raise ValueError(f'no pictures in {args.pictures}')
    cutouts = find_files(args.cutouts, PICTURES)
    return Sources(
        [read_picture(path, 'RGB') for path in pictures],
        [read_picture(path, 'RGBA') for path in cutouts],
        find_files(args.fonts, FONTS),
    )


def draw_motion(rng: Rng, frames: int) -> Motion:
    """Draw a path: up to six pixels a frame, often with shake."""
    time = np.arange(frames) - frames / 2
    speed = log_uniform(rng, 0.15, 6) if rng.random() > 0.15 else 0.0
    way = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(way), np.sin(way)]) * speed
    bend = np.array([1, -1]) * rng.normal() * 0.05 * speed
    shake = rng.normal(size=(frames, 2)) * rng.choice([0, 0.3, 0.6])
    return Motion(
        np.outer(time, along) + np.outer(time**2, bend) + shake.cumsum(0),
        time * rng.normal() * rng.choice([0, 0.004, 0.02]),
        np.exp(time * rng.normal() * rng.choice([0, 0.003, 0.012])),
    )


def place_matrix(
    centre: np.ndarray,
    angle: float,
    scale: float,
    tilt: np.ndarray,
    place: np.ndarray,
) -> np.ndarray:
    """Compute the homography (3, 3) from a picture to the film.

    Args:
        centre: point of the picture that comes to `place`, (2,) pixels.
        angle: of the rotation about it, radians.
        scale: film pixels of one picture pixel.
        tilt: change of the scale for each film pixel, (2,).
        place: (2,) film pixels.
    """
    turn = np.eye(3)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    turn[:2, 2] = -turn[:2, :2] @ centre
    perspective, move = np.eye(3), np.eye(3)
    perspective[2, :2], move[:2, 2] = tilt, place
    return move @ perspective @ turn


def film_ground(
    rng: Rng, picture: np.ndarray, frames: int, side: int
) -> np.ndarray:
    """Film an opaque picture, (T, side, side, 3)."""
    most = min(picture.shape[:2]) / (side * 1.1)
    step = min(most, log_uniform(rng, 0.6, max(0.61, min(most, 3.5))))
    if step > 1:
        factor = 1 / step
        picture = cv2.resize(
            picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA
        )
        step = 1.0
    size = np.array(picture.shape[1::-1])
    margin = np.minimum(side * step / 2, size / 2)
    centre = rng.uniform(margin, np.maximum(margin + 1, size - margin))
    motion, angle = draw_motion(rng, frames), rng.normal() * 0.1
    tilt = rng.normal(size=2) * rng.choice([0, 0.15, 0.3]) / side
    film = np.empty((frames, side, side, 3), np.uint8)
    for t, frame in enumerate(film):
        matrix = place_matrix(
            centre,
            angle + motion.angle[t],
            motion.zoom[t] / step,
            tilt,
            side / 2 + TWICE * motion.shift[t],
        )
        cv2.warpPerspective(
            picture,
            matrix,
            (side, side),
            dst=frame,
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return film


def lay_over(frame: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> None:
    """Lay a picture with premultiplied alpha over a frame, in place."""
    size = frame.shape[1::-1]
    warped = cv2.warpPerspective(layer, matrix, size).astype(np.float32)
    clear = 1 - warped[..., 3:] / 255
    mixed = frame * clear + warped[..., :3]
    frame[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def premultiply(cutout: np.ndarray, side: float) -> np.ndarray:
    """Shrink a cut-out to `side` and multiply its colours by its alpha."""
    layer = cutout.astype(np.float32)
    layer[..., :3] *= layer[..., 3:] / 255
    factor = side / max(layer.shape[:2])
    if factor < 1:
        height, width = (max(4, int(n * factor)) for n in layer.shape[:2])
        size = (width, height)
        layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
    border = cv2.copyMakeBorder(layer, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    return np.clip(border, 0, 255).astype(np.uint8)


def add_cutout(rng: Rng, film: np.ndarray, cutout: np.ndarray) -> None:
    """Move a cut-out over a film, in place."""
    side = film.shape[1]
    layer = premultiply(cutout, log_uniform(rng, 0.2, 1.5) * side)
    motion, angle = draw_motion(rng, len(film)), rng.normal() * 0.25
    place = rng.uniform(0.15, 0.85, 2) * side
    tilt = rng.normal(size=2) * rng.choice([0, 0.3]) / side
    centre = np.array(layer.shape[1::-1]) / 2
    for t, frame in enumerate(film):
        matrix = place_matrix(
            centre,
            angle + motion.angle[t],
            motion.zoom[t],
            tilt,
            place + TWICE * motion.shift[t],
        )
        lay_over(frame, layer, matrix)


def add_block(rng: Rng, film: np.ndarray, fonts: list[Path]) -> None:
    """Move a toy block with letters over a film, in place."""
    side = film.shape[1]
    faces = [draw_face(rng, fonts) for _ in range(6)]
    motion, size = draw_motion(rng, len(film)), log_uniform(rng, 0.1, 0.45)
    start = rng.uniform(-1, 1, 3) * (0.9, 0.9, 0.5)
    spin = rng.normal(size=3) * rng.choice([0, 0.02, 0.05])
    place = rng.uniform(0.1, 0.9, 2) * side
    light, ambient = rotation(rng.normal(size=3))[0], rng.uniform(0.45, 0.8)
    for t, frame in enumerate(film):
        turn = rotation(start + spin * (t - len(film) / 2))
        scale = size * side * motion.zoom[t]
        centre = place + TWICE * motion.shift[t]
        for which, corners, normal in project_block(turn, scale, centre):
            shade = ambient + (1 - ambient) * abs(normal @ light)
            lay_face(frame, faces[which] * shade, corners)


def lay_face(frame: np.ndarray, face: np.ndarray, corners: np.ndarray) -> None:
    """Lay a block's face onto its four corners (4, 2), unmirrored."""
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    if along[0] * down[1] < along[1] * down[0]:
        corners = corners[[1, 0, 3, 2]]
    length = max(12, int(max(np.linalg.norm(along), np.linalg.norm(down))))
    size = (min(length, len(face)),) * 2
    face = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    solid = np.full((*face.shape[:2], 1), 255)
    layer = np.concatenate([face, solid], axis=2).astype(np.uint8)
    edge = size[0]
    square = np.float32([[0, 0], [edge, 0], [edge, edge], [0, edge]])
    matrix = cv2.getPerspectiveTransform(square, corners.astype(np.float32))
    lay_over(frame, layer, matrix)


def make_film(
    rng: Rng, sources: Sources, frames: int, size: int
) -> np.ndarray:
    """Make one film, (T, size, size, 3) uint8.

    Just under half are pictures alone; the others have up to seven things
    that move over a picture or a drawing, blurred at times.
    """
    kind, side = rng.random(), size * TWICE
    drawn = kind >= 0.46 and rng.random() < 0.5
    if drawn:
        ground = draw_graphic(rng, sources.fonts)
    else:
        ground = sources.pictures[rng.integers(len(sources.pictures))]
    film = film_ground(rng, ground, frames, side)
    if 0.46 <= kind < 0.8 and rng.random() < 0.35:
        blur = log_uniform(rng, 2, 30)
        film = np.stack([cv2.GaussianBlur(f, (0, 0), blur) for f in film])
    blocks = kind >= 0.9
    count = rng.integers(2, 8) if blocks else rng.integers(1, 5)
    for _ in range(count if blocks or 0.46 <= kind < 0.8 else 0):
        add_thing(rng, film, sources, blocks)
    halved = [
        cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA) for f in film
    ]
    return np.stack(halved)


def add_thing(
    rng: Rng, film: np.ndarray, sources: Sources, blocks: bool
) -> None:
    """Add a block, some letters or a cut-out."""
    which = rng.random()
    if blocks or which > 0.8:
        add_block(rng, film, sources.fonts)
    elif which > 0.62 or not sources.cutouts:
        add_cutout(rng, film, draw_letters(rng, sources.fonts))
    else:
        cutout = sources.cutouts[rng.integers(len(sources.cutouts))]
        add_cutout(rng, film, cutout)


def is_flat(film: np.ndarray) -> bool:
    """Return whether half of a film has next to nothing to restore."""
    frame = film[len(film) // 2].astype(np.float32)
    down = np.abs(np.diff(frame, axis=0))[:, :-1].max(-1)
    right = np.abs(np.diff(frame, axis=1))[:-1].max(-1)
    areas = cv2.resize(down + right, (6, 6), interpolation=cv2.INTER_AREA)
    return bool(np.median(areas) < _FLAT)


def write_film(
    folder: Path, index: int, sources: Sources, args: argparse.Namespace
) -> None:
    """Write a film that depends on the seed and its index alone.

    Of flat films most are drawn anew.
    """
    rng = np.random.default_rng((args.seed, index))
    film = make_film(rng, sources, args.frames, args.size)
    while is_flat(film) and rng.random() < 0.85:
        film = make_film(rng, sources, args.frames, args.size)
    np.save(folder / f'film_{index:05d}.npy', film)


def write_films(args: argparse.Namespace) -> int:
    """Write all films; DST appears when it is complete."""
    sources = read_sources(args)
    with atomic_folder(args.dst) as folder:
        for index in range(args.count):
            write_film(folder, index, sources, args)
            if index % 100 == 99:
                say(f'{index + 1} of {args.count}')
    return DONE


def main(words: Sequence[str] | None = None) -> int:
    return execute(write_films, parse_args(words))


if __name__ == '__main__':
    sys.exit(main())
