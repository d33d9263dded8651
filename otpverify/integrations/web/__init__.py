"""What the integrations of all web frameworks share, without any framework: what a session keeps
of a challenge, what follows an outcome, what is said of an error to a person and to a program."""
