"""Our questions on other platforms: what is sent for each kind, drafts to paste, and sending exactly once."""
