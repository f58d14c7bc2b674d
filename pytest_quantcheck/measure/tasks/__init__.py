"""How each kind of workload becomes requests, and their answers scores."""
