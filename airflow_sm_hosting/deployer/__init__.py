"""Observe, apply the steps of plans, wait and report. The decisions are made in ``deployment/``."""
