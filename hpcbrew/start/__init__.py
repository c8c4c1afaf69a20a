"""Makes a training folder to start from: for the user's own pictures, or a copy of a model that ships with hpcbrew."""
