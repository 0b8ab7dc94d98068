"""An audit trail in a SQL database, beside the log lines."""
