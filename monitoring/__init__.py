"""Monitoring: the inference log, drift from the training, and how good answers were by people's corrections."""
