"""Show people clips and collect their votes: `star study serve`."""

import argparse

from star.cli.common import DONE, say
from star.user_study.create import open_study
from star.user_study.sources import find_clips, inspect, parse_methods
from star.user_study.transcoding import transcode_clip
from star.user_study.web import LOCAL, create_app, make_server
from star.utils.addresses import is_local


def run(args: argparse.Namespace) -> int:
    """Prepare the clips, then answer browsers until Ctrl-C."""
    methods = parse_methods(args.methods)
    clips = find_clips(methods, args.sets, args.clips, args.seed)
    clips = [inspect(clip, args.fps) for clip in clips]
    cache = args.cache or args.db.with_suffix('.clips')
    files = {c.key: transcode_clip(c, cache, args.crf, say) for c in clips}
    store = open_study(args.db, clips, files, args.seed)
    local = is_local(args.host)
    app = create_app(store, cache, (*LOCAL, args.host) if local else ())
    server = make_server(app, args.host, args.port)
    if not local:
        say(
            f'note: {args.host} can be reached by others, unencrypted; '
            'whoever reaches it can take part'
        )
    name = f'[{args.host}]' if ':' in args.host else args.host
    say(f'{len(clips)} clips of {len(methods)} methods')
    say(f'http://{name}:{server.port}/ (Ctrl-C stops, nothing is lost)')
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say('stopped')
    return DONE
