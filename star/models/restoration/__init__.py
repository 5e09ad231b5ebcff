"""The one restore path: options, segments, windows, tiles, guidance."""
