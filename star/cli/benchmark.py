"""Write a report that compares methods: `star benchmark`."""

import argparse

from star.cli.common import DONE, say
from star.report.comparison import compare
from star.report.frames import Crop
from star.report.pictures import PictureOptions
from star.report.report import (
    ReportOptions,
    check_folder,
    make_report,
    write_files,
)
from star.report.results import load_results


def run(args: argparse.Namespace) -> int:
    """Write the report and return the exit code."""
    check_folder(args.out)
    comparison = compare(load_results(args.runs), args.reference, args.seed)
    pictures = PictureOptions(
        crop=Crop(*args.crop) if args.crop else None,
        longest=args.longest,
        play_frames=args.play,
    )
    options = ReportOptions(args.pictures, args.clips, pictures)
    report = make_report(comparison, options)
    write_files(args.out, report.files)
    for remark in report.remarks:
        say(f'{remark.level}: {remark.text}')
    page = args.out / 'index.html'
    size = page.stat().st_size / 2**20
    print(
        f'{page}: {size:.1f} MiB, {report.clips} clips, {report.pictured} '
        'with pictures'
    )
    return DONE
