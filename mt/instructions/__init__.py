"""Verifiable English: everyday questions with demands that a program can check, and what answers are worth."""
