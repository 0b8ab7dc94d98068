"""Benchmarks: each compares in one run and prints ratios, because machines are noisy."""
