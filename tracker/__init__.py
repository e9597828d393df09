"""Speedup Tracker: which areas of AI research does AI speed up first?"""

__version__ = "0.1.0"
