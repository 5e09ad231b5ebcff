"""The training of a STARModel that restores in one step, or in a few."""
