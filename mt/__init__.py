"""Mutual-Taught: a policy and a reward model that teach each other."""
