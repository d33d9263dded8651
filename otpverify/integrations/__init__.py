"""otpverify in web frameworks and task queues. Each integration is an extra, uses the public API
alone, and knows no other; what they share is in `web`."""
