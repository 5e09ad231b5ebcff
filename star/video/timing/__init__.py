"""When frames are shown: clocks, edit lists, telecine."""
