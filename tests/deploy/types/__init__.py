"""The types of custom resources."""
