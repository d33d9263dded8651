-- Use up the proof that a right code left behind.
--
-- KEYS   challenge
-- ARGV   nonce (6 bytes)
-- Reply  "1" used up, "0" there is none
--
-- Safe to repeat: what was used up under the same nonce is so again.

local REMEMBER_USED = 30000 -- milliseconds, as in check.lua

-- include clock
local raw = redis.call('GET', KEYS[1])
if not raw or raw:sub(1, 1) ~= 'U' then
  return '0'
end
if #raw > 13 then
  return raw:sub(14) == ARGV[1] and '1' or '0'
end
if struct.unpack('>I6', raw, 8) <= now then
  return '0'
end
redis.call('PSETEX', KEYS[1], REMEMBER_USED, raw .. ARGV[1])
return '1'
