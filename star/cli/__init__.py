"""The command `star`: a file for each subcommand, its options in `options`."""
