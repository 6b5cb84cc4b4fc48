"""From words and YAML files to a checked recipe; needs no TensorFlow."""
