"""Where facts are kept and questions are answered: a small protocol and its engines."""
