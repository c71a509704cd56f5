"""A synthetic workload to look at."""
