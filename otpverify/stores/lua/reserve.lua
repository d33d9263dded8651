-- Count one event of a counter that belongs to no phone, or refuse.
--
-- KEYS   counter
-- ARGV   limits (count in 4 bytes, window in 6, each), nonce
-- Reply  {1, at}, or {0, wait, which}: the limit that refused, 1 and up
--
-- The value is a string of records of 12 bytes, oldest first: instant (6), nonce (6). Safe to
-- repeat: an event with a nonce that was seen is not counted again.

local limits, nonce, now = ARGV[1], ARGV[2], clock()
local log, instants, longest, wait, which = redis.call('GET', KEYS[1]) or '', {}, 0, 0, 0
for from = 1, #log, 12 do
  local at, seen = struct.unpack('>I6c6', log, from)
  if seen == nonce then
    return {1, at}
  end
  instants[#instants + 1] = at
end
for from = 1, #limits, 10 do
  local count, window = struct.unpack('>I4I6', limits, from)
  local at = instants[#instants - count + 1]
  longest = math.max(longest, window)
  if at and at + window - now > wait then
    wait, which = at + window - now, (from + 9) / 10
  end
end
if wait > 0 then
  return {0, wait, which}
end

-- Drop what no limit looks at any more; keep the order even if the clock went back.
local start, stop = 1, #instants
while start <= stop and instants[start] <= now - longest do
  start = start + 1
end
while stop >= start and instants[stop] > now do
  stop = stop - 1
end
local entry = struct.pack('>I6c6', now, nonce)
log = log:sub(start * 12 - 11, stop * 12) .. entry .. log:sub(stop * 12 + 1)
redis.call('PSETEX', KEYS[1], longest, log)
return {1, now}
