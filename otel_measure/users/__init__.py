"""What users do: events, and the reports over them."""
