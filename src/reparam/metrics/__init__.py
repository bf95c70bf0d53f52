"""Measures: one file each; every one returns a `Measure`, or a dict of them."""
