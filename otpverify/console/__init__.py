"""What the commands for an owner and for support do and print."""
