-- Forget the unanswered messages to a number that was known.
--
-- KEYS   number
-- Reply  "1"

if redis.call('GET', KEYS[1]) then
  redis.call('SET', KEYS[1], '0', 'KEEPTTL')
end
return '1'
