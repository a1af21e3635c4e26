"""Prompts from files and data sets: read strictly, cleaned, counted and split; every error names its line."""
