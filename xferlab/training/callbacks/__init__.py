"""What follows a run: TensorBoard, history, best weights, progress."""
