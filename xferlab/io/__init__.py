"""Files and folders that are written whole, records read as data, safetensors."""
