"""What commands show of a store, for people: numbers in words, tables, and how they are drawn."""
