"""From overrides and YAML files to a checked recipe; needs no TensorFlow."""
