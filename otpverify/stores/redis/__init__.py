"""`RedisStore` and `AsyncRedisStore`: Redis, Valkey, Sentinel and Cluster."""
