"""Draw the weights of the frequency loss over the timesteps.

    python tools/analysis_tools/plot_weights.py --out weights.png

c(t) for several alpha (figure 5 of the paper) and b(t) for several beta and
shapes (figure 11), as `frequency_weights` computes them; the numbers go to a
CSV file beside the picture. Exit code: 0 done, 2 wrong use.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.cli.common import Parser, execute
from star.models.losses.dynamic_frequency_loss import (
    ORDERS,
    SCHEDULES,
    DynamicFrequencyLoss,
    frequency_weights,
)
from star.report.figures import (
    COLOURS,
    DASHES,
    check_png,
    new_figure,
    save_figure,
    save_numbers,
)

COLUMNS = ('weight', 'alpha', 'beta', 'b', 'order', 't', 'value')


@dataclass(frozen=True)
class Curve:
    """A weight over all timesteps, and what it depends on."""

    weight: str
    alpha: float | None
    beta: float | None
    b: str | None
    order: str | None
    values: Tensor


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--out', type=Path, required=True, help='a .png file')
    alphas, betas = (0.25, 0.5, 1, 1.5, 2), (0.25, 0.75, 1, 1.5, 2)
    add('--alpha', type=finite, nargs='+', default=alphas, help='of c(t)')
    add('--beta', type=finite, nargs='+', default=betas, help='of b(t)')
    add(
        '--b',
        nargs='+',
        choices=SCHEDULES,
        default=('linear', 'exponential'),
        help='shapes of b(t); default: linear exponential',
    )
    add('--order', choices=ORDERS, default='direct', help='of c(t)')
    add('--num-timesteps', type=int, default=1000)
    return parser.parse(arguments)


def finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError
    return float(text)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    check_png(args.out)
    curves = make_curves(args)
    draw(curves, args.out)
    write(curves, args.out.with_suffix('.csv'))
    print(f'{args.out}: {len(curves)} curves')
    return 0


def make_curves(args: argparse.Namespace) -> list[Curve]:
    """Compute every curve at all timesteps."""
    # the loss knows the ranges, the function does not
    steps = args.num_timesteps
    for alpha in args.alpha:
        DynamicFrequencyLoss(alpha=alpha, num_timesteps=steps)
    for beta in args.beta:
        DynamicFrequencyLoss(beta=beta)
    t, order = torch.arange(steps), args.order
    curves = [
        Curve(
            *('c', alpha, None, None, order),
            frequency_weights(t, alpha, order=order, num_timesteps=steps)[1],
        )
        for alpha in args.alpha
    ]
    curves += [
        Curve(
            *('b', None, beta, shape, None),
            frequency_weights(t, beta=beta, b=shape, num_timesteps=steps)[0],
        )
        for shape in args.b
        for beta in args.beta
    ]
    return curves


def draw(curves: list[Curve], path: Path) -> None:
    figure, panels = new_figure(2, height=4.2)
    for panel, weight in zip(panels, ('c', 'b'), strict=True):
        own = [curve for curve in curves if curve.weight == weight]
        draw_panel(panel, own)
        panel.set_xlabel('timestep t')
        panel.set_ylabel(f'{weight}(t)')
    save_figure(figure, path)


def draw_panel(panel: Any, curves: list[Curve]) -> None:
    """Draw curves: a colour for each number, dashes for each shape."""
    numbers = list(dict.fromkeys(c.alpha or c.beta for c in curves))
    shapes = list(dict.fromkeys(c.b for c in curves))
    for curve in curves:
        number = curve.alpha or curve.beta
        panel.plot(
            curve.values.numpy(),
            color=COLOURS[numbers.index(number) % len(COLOURS)],
            linestyle=DASHES[shapes.index(curve.b) % len(DASHES)],
            label=name(curve),
        )
    columns = len(shapes)
    panel.legend(
        fontsize='x-small',
        ncols=columns,
        loc='upper center',
        bbox_to_anchor=(0.5, -0.2),
    )


def name(curve: Curve) -> str:
    if curve.weight == 'c':
        inverse = ', inverse' if curve.order == 'inverse' else ''
        return f'alpha {curve.alpha:g}{inverse}'
    return f'beta {curve.beta:g}, {curve.b}'


def write(curves: list[Curve], path: Path) -> None:
    rows = (
        (c.weight, c.alpha, c.beta, c.b, c.order, t, value)
        for c in curves
        for t, value in enumerate(c.values.tolist())
    )
    save_numbers(path, COLUMNS, rows)


if __name__ == '__main__':
    sys.exit(main())
