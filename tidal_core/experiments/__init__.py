"""Comparing strategies where the labels are known."""
