"""Pictures of nets, made without Graphviz: a diagram, where its parts lie, and how they are put on paper."""
