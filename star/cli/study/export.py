"""Write the results of a user study: `star study export`."""

import argparse

from star.cli.common import DONE
from star.user_study.export import export_study
from star.user_study.store import Store
from star.user_study.summary import ALL


def run(args: argparse.Namespace) -> int:
    """Write tables and charts, and print each method's share of votes."""
    shares = export_study(Store(args.db), args.out, args.finished, args.seed)
    for share in shares:
        if share.dataset == ALL:
            ends = share.bootstrap or share.wilson
            print(
                f'{share.question}: {share.method} {100 * share.share:.1f} % '
                f'[{100 * ends.low:.1f}, {100 * ends.high:.1f}] of '
                f'{share.total} votes'
            )
    print(f'{args.out}: votes.csv, summary.csv, pies.png, bars.png')
    return DONE
