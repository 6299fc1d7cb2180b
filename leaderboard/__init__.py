"""Committed records and published figures, and the pages made from them."""
