-- What is known of a number.
--
-- KEYS   number
-- Reply  "0": no code was entered for it, or long ago; "1 unanswered expires": how many messages
--        were sent since its last right code; when it is known no more

local number = redis.call('GET', KEYS[1])
if not number then
  return '0'
end
assert(#number == 10, 'a foreign value')
local expires, unanswered = struct.unpack('>I6I4', number)
return '1 ' .. unanswered .. ' ' .. expires
