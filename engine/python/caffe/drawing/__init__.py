"""Draws nets without Graphviz: the diagram, its layout, and its output as SVG or bitmap."""
