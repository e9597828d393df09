"""How do we say it: charts, one self-contained page and its plain-text twin.

Contents in, strings and figures out. Nothing here reads a clock, a database or the network; the only
writing is ``plots.save`` to the two paths it is given.
"""
