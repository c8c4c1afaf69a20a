"""What a run is asked to do while it trains: signals, deadlines, and how nodes agree on them."""
