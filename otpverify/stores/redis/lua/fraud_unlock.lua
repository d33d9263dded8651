-- Forget the unanswered messages to a number that was known.
--
-- KEYS   number
-- Reply  "1"

local number = redis.call('GET', KEYS[1])
if number then
  assert(#number == 10, 'a foreign value')
  redis.call('SET', KEYS[1], number:sub(1, 6) .. struct.pack('>I4', 0), 'KEEPTTL')
end
return '1'
