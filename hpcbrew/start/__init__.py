"""A folder to begin with: of one's own pictures, or a copy of a model that ships."""
