"""What do we ask: areas, factors, questions and links, and the records everyone passes around.

This package is the language of the project. It does no I/O beyond reading its own TOML catalogue,
imports nothing of ``storage`` or ``tracker``, and its records refuse nonsense when they are made.
"""
