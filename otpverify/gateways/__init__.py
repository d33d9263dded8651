"""Getting a message to the phone: retries, HTTP and fallback; one package for each gateway."""
