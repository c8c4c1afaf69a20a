"""The profiles of sites, both shipped and the user's own, and the user's settings."""
