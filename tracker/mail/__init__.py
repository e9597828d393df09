"""Mail: what a message says, who gets it, and how it gets there exactly once."""
