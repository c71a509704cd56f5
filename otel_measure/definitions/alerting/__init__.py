"""What an alert means, pure: the rules, what one says of a subject, and how its state follows."""
