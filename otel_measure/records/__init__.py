"""The facts and the rules of what may stand in them: pure data, no I/O."""
