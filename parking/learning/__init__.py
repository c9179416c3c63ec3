"""From a snapshot to a model file: recipe, network, training, tuning, scores, export, gate."""
