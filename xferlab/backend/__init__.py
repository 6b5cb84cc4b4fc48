"""The one package that imports TensorFlow, beside the export formats of TensorFlow itself."""
