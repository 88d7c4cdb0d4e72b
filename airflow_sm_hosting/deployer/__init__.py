"""Doing: observes, applies the steps of plans, waits, and reports. What is to be done is decided in ``deployment/``."""
