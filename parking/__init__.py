"""The subject itself: scenes, the network, the detector and the registry; no web framework, no orchestrator."""
