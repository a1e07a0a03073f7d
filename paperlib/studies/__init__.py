"""What the result notebooks compute, a module of the same stem for each."""
