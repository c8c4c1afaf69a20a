"""What the machine is and how files are written on it. Imports no JAX."""
