"""Requests to a run while it trains: signals, deadlines, and how nodes agree on them."""
