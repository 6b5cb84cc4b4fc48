"""Training from Python: ``xferlab.train`` and ``xferlab.sweep``; one function a command."""
