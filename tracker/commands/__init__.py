"""One module per command: parse the call, call one job, print. No arithmetic lives here."""
