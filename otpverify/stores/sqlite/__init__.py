"""`SqliteStore`: a store in one file, for the processes of one machine."""
