"""The budgets, measured: `python -m benchmarks` runs all and prints the table with figures."""
