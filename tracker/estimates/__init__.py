"""What the evidence implies: pure functions from stored values to trends and orderings. No I/O."""
