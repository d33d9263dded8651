-- Forget a challenge; the phone's logs stay.
--
-- KEYS   challenge
-- Reply  "1"

redis.call('DEL', KEYS[1])
return '1'
