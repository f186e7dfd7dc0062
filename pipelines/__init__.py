"""Opioid-induced hyperalgesia cohort: extracts -> trajectories -> episodes -> labels -> reports."""

__version__ = "0.1.0"
