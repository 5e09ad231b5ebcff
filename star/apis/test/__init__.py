"""Test a method on sets of clips."""
