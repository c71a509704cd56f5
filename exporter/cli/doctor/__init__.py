"""What is wrong here, and the way out: a table of checks, each a function that returns one finding.

No check changes anything, and none needs a running server. What a check reads of its surroundings is a parameter.
"""
