"""Alerts: what changed so that a person should hear of it at once; found, told once, and kept with its evidence."""
