"""Redis Streams between the processes that make audit records and those that store them."""
