"""The words, values only."""
