"""The program that stays: a ticker, one leader among several, and what watches over both.

    ticker (APScheduler, in memory) -> tick: lead? -> what is due by the clock and the ledger -> workers

Nothing that matters lives in this process: what has run is in the ledger, who leads is in the lease, so a kill at any
moment loses nothing that was finished and repeats what was not.
"""
