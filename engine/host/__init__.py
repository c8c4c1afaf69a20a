"""The machine: its cores, memory, signals and files. Imports no JAX."""
