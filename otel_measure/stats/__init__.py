"""Pure mathematics: histograms, intervals, tests, sequential inference, drift and assignment. No I/O, no state."""
