"""Sound, subtitles and all else that travels with a picture."""
