"""The frozen values that cross the border of a store, one file per domain."""
