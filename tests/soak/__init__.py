"""What the daemon is put through: kills at random moments, counted against what the platforms really answered.

``python -m tests.soak`` runs the long part and prints a table; ``tests/daemon/test_soak.py`` the short one.
"""
