"""From a snapshot to a model file: recipe, network, training, tuning, scores, export, gate."""

import os

# Read by libraries when they are loaded, so set before any module of this package loads them.
# OpenMP's threads spin while they wait for each other: on a machine that does anything else a step then takes ten times
# as long, and sleeping instead costs nothing that can be measured.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Albumentations asks the network for its latest version when it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
