"""Drawn pictures for film_pictures.py: lines, shapes, letters and toy blocks.

Everything is drawn at random, in colours that photographs rarely have and
with the letters and thin lines that a handful of clips lacks.
"""

import string
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Rng = np.random.Generator
Painter = Callable[[ImageDraw.ImageDraw, Rng, Sequence[Path]], None]

SIDE = 760  # of a drawing, pixels
_FACE = 200  # of a block's face
_CHARACTERS = np.array(list(string.ascii_letters + string.digits + '&?!%:'))
_CUBE = np.array(
    [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
)
_FACES = (
    *((0, 1, 3, 2), (5, 4, 6, 7), (1, 0, 4, 5)),
    *((2, 3, 7, 6), (0, 2, 6, 4), (3, 1, 5, 7)),
)
_DISTANCE = 6.0  # from the eye to a block's centre, half its side being 1


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_colour(rng: Rng, unlike: Colour | None = None) -> Colour:
    """Draw a colour, often a saturated one, that `unlike` contrasts with."""
    for _ in range(20):
        saturation = rng.choice([rng.uniform(0, 60), rng.uniform(120, 255)])
        value = rng.choice([rng.uniform(0, 60), rng.uniform(80, 255), 250])
        pixel = np.uint8([[[rng.uniform(0, 180), saturation, value]]])
        red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
        colour = int(red), int(green), int(blue)
        if unlike is None or np.abs(np.subtract(colour, unlike)).sum() > 180:
            break
    return colour


def draw_text(rng: Rng, length: int) -> str:
    """Draw words of random letters, or figures."""
    pool = _CHARACTERS if rng.random() < 0.7 else np.array(list('0123456789'))
    letters = rng.choice(pool, length)
    letters[rng.random(length) < 0.15] = ' '
    return ''.join(letters)


def draw_font(
    rng: Rng, fonts: Sequence[Path], size: float
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load one of the fonts, or Pillow's own where there is none."""
    if not fonts:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(size))


def paint_grid(d: ImageDraw.ImageDraw, rng: Rng, _: Sequence[Path]) -> None:
    """Paint stripes, or a grid."""
    colour, width = draw_colour(rng), int(log_uniform(rng, 2, 10))
    step, crossed = width + int(log_uniform(rng, 8, 110)), rng.random() < 0.6
    for k in range(0, SIDE, step):
        d.line((k, 0, k, SIDE), fill=colour, width=width)
        if crossed:
            d.line((0, k, SIDE, k), fill=colour, width=width)


def paint_lines(d: ImageDraw.ImageDraw, rng: Rng, _: Sequence[Path]) -> None:
    """Paint lines in all directions."""
    for _ in range(rng.integers(5, 40)):
        ends = tuple(rng.uniform(0, SIDE, 4))
        width = int(rng.integers(1, 9))
        d.line(ends, fill=draw_colour(rng), width=width)


def paint_checks(d: ImageDraw.ImageDraw, rng: Rng, _: Sequence[Path]) -> None:
    """Paint a chessboard."""
    colour, step = draw_colour(rng), int(log_uniform(rng, 20, 110))
    for row, top in enumerate(range(0, SIDE, step)):
        for left in range(row % 2 * step, SIDE, 2 * step):
            d.rectangle((left, top, left + step, top + step), fill=colour)


def paint_shapes(d: ImageDraw.ImageDraw, rng: Rng, _: Sequence[Path]) -> None:
    """Paint ellipses and rectangles, some with an outline."""
    for _ in range(rng.integers(5, 40)):
        x, y = rng.uniform(0, SIDE, 2)
        a, b = log_uniform(rng, 8, 120), log_uniform(rng, 8, 120)
        shape = d.ellipse if rng.random() < 0.5 else d.rectangle
        outline = draw_colour(rng) if rng.random() < 0.5 else None
        box = (x - a, y - b, x + a, y + b)
        shape(box, fill=draw_colour(rng), outline=outline, width=4)


def paint_page(
    d: ImageDraw.ImageDraw, rng: Rng, fonts: Sequence[Path]
) -> None:
    """Paint lines of text."""
    size, colour = rng.uniform(18, 70), draw_colour(rng)
    font = draw_font(rng, fonts, size)
    for top in np.arange(0, SIDE, size * rng.uniform(1.05, 1.5)):
        d.text((10, top), draw_text(rng, 60), font=font, fill=colour)


def paint_cells(
    d: ImageDraw.ImageDraw, rng: Rng, fonts: Sequence[Path]
) -> None:
    """Paint a table with a few letters in each cell, as on a calendar."""
    step, colour = int(rng.integers(50, 150)), draw_colour(rng)
    font = draw_font(rng, fonts, step * rng.uniform(0.3, 0.7))
    for left in range(0, SIDE, step):
        for top in range(0, SIDE, step):
            box = (left, top, left + step, top + step)
            d.rectangle(box, outline=colour, width=3)
            place = (left + step / 5, top + step / 8)
            d.text(place, draw_text(rng, 2), font=font, fill=colour)


PAINTERS: tuple[Painter, ...] = (
    *(paint_grid, paint_lines, paint_checks),
    *(paint_shapes, paint_page, paint_cells),
)


def draw_ground(rng: Rng, side: int) -> Image.Image:
    """Draw an area of one colour or of a gradient, smooth or grained."""
    first, second = draw_colour(rng), draw_colour(rng)
    ramp = np.linspace(0, rng.choice([0, 1]), side)[None, :, None]
    pixels = np.broadcast_to(
        np.array(first) * (1 - ramp) + np.array(second) * ramp,
        (side, side, 3),
    )
    for cell in (rng.uniform(1.5, 6), rng.uniform(10, 60)):
        count = max(2, int(side / cell))
        grain = rng.normal(size=(count, count, 3)).astype(np.float32)
        size = (side, side)
        grain = cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)
        pixels = pixels + grain * rng.choice([0, rng.uniform(0, 10)])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw_graphic(rng: Rng, fonts: Sequence[Path]) -> np.ndarray:
    """Draw lines, shapes and text, (H, W, 3) uint8."""
    image = draw_ground(rng, SIDE)
    canvas = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 4)):
        PAINTERS[rng.integers(len(PAINTERS))](canvas, rng, fonts)
    return np.array(image)


def draw_letters(rng: Rng, fonts: Sequence[Path]) -> np.ndarray:
    """Draw some lines of text, on a panel or on nothing, (H, W, 4) uint8."""
    font = draw_font(rng, fonts, log_uniform(rng, 20, 200))
    rows, length = rng.integers(1, 6), rng.integers(2, 16)
    text = '\n'.join(draw_text(rng, length) for _ in range(rows))
    scratch = ImageDraw.Draw(Image.new('L', (1, 1)))
    left, top, right, bottom = scratch.multiline_textbbox((0, 0), text, font)
    size = int(min(right - left + 30, 1400)), int(min(bottom - top + 30, 1000))
    ground = draw_colour(rng)
    opacity = 255 if rng.random() < 0.5 else 0
    image = Image.new('RGBA', size, (*ground, opacity))
    ink = (*draw_colour(rng, ground), 255)
    place = (15 - left, 15 - top)
    ImageDraw.Draw(image).multiline_text(place, text, fill=ink, font=font)
    return np.array(image)


def draw_face(rng: Rng, fonts: Sequence[Path]) -> np.ndarray:
    """Draw a face of a toy block: a letter in a frame, (H, W, 3) uint8."""
    image = draw_ground(rng, _FACE)
    ground: Colour = image.getpixel((0, 0))
    canvas, ink = ImageDraw.Draw(image), draw_colour(rng, ground)
    width = int(rng.integers(3, 22))
    inner = (width // 2, width // 2, _FACE - width // 2, _FACE - width // 2)
    if rng.random() < 0.6:
        canvas.rectangle(inner, outline=draw_colour(rng, ground), width=width)
    font = draw_font(rng, fonts, rng.uniform(90, 170))
    middle, letter = (_FACE / 2, _FACE / 2), str(rng.choice(_CHARACTERS))
    canvas.text(middle, letter, font=font, fill=ink, anchor='mm')
    return np.array(image)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Compute the matrix of a rotation vector (3,), radians."""
    return cv2.Rodrigues(np.asarray(angles, np.float64))[0]


def project_block(
    turn: np.ndarray, size: float, place: np.ndarray
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """List a block's visible faces.

    Args:
        turn: rotation matrix (3, 3).
        size: half its side, pixels.
        place: of its centre, (2,) pixels.

    Returns:
        the face's number, its corners (4, 2) in pixels and its normal (3,),
        towards the eye where the last component is negative.
    """
    corners = _CUBE @ turn.T
    scale = _DISTANCE / (_DISTANCE + corners[:, 2:])
    pixels = (corners[:, :2] * scale * size + place).astype(np.float32)
    found = []
    for number, face in enumerate(_FACES):
        normal = corners[list(face)].mean(0)
        # seen where the eye lies on the outer side of the face's plane
        if normal[2] < -1 / _DISTANCE - 0.02:
            found.append((number, pixels[list(face)], normal))
    return found
