"""Write the weights of a training checkpoint: `star convert publish`."""

import argparse
from dataclasses import fields
from typing import Any

from star.apis import PublishOptions, publish_model
from star.cli.common import DONE


def run(args: argparse.Namespace) -> int:
    """Write the file or the folder and return the exit code."""
    given: dict[str, Any] = {
        field.name: getattr(args, field.name)
        for field in fields(PublishOptions)
    }
    size = publish_model(args.src, args.dst, PublishOptions(**given))
    print(f'{args.dst}: {size:,} parameters')
    return DONE
