"""Deciding: pure functions over what AWS describes."""
