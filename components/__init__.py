"""The vocabulary methods are written in: pure functions and small modules."""
