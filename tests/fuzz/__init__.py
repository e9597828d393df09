"""Mutated answers by the thousand, and a second, plainer reading of each to hold the adapters against."""
