"""From a request to a plan: what a job is, what it takes along, its script. Nothing here is sent or run."""
