"""What a number means: pure functions of records, with every parameter passed in."""
