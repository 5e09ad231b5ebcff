"""The commands `star study serve` and `star study export`."""
