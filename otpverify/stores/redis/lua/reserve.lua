-- Count one event of a counter that belongs to no phone, or refuse.
--
-- KEYS   counter
-- ARGV   limits (their longest window in 6 bytes and largest count in 4; then count in 4 and
--        window in 6, each), nonce
-- Reply  "1 at", or "0 wait which": the limit that refused, 1 and up
--
-- The value is the retention (window and count as above) of all limits that it was counted for, and
-- records of 12 bytes, oldest first: instant (6), nonce (6). It is kept as a phone's log is; see
-- common.lua. Safe to repeat: an event with a nonce that was seen is not counted again.

-- include clock
local limits, nonce = ARGV[1], ARGV[2]
local SPARE = 100 -- what a log holds beyond the largest count
local log, instants, begin, wait, which = redis.call('GET', KEYS[1]) or '', {}, 11, 0, 0
local window, count = struct.unpack('>I6I4', log ~= '' and log or limits)
for from = 11, #log, 12 do
  local at, seen = struct.unpack('>I6c6', log, from)
  if seen == nonce then
    return string.format('1 %d', at)
  end
  if at <= now - window then
    begin = from + 12
  else
    instants[#instants + 1] = at
  end
end
for from = 11, #limits, 10 do
  local most, period = struct.unpack('>I4I6', limits, from)
  local at = instants[#instants - most + 1]
  if at and at + period - now > wait then
    wait, which = at + period - now, (from - 1) / 10
  end
end
if wait > 0 then
  return '0 ' .. wait .. ' ' .. which
end

local own_window, own_count = struct.unpack('>I6I4', limits)
if begin > #log then
  window, count = own_window, own_count
else
  window, count = math.max(window, own_window), math.max(count, own_count)
end
-- It names the event for give_back, which may be repeated, so no two are the same.
local at = now
for _, one in ipairs(instants) do
  if one == at then
    at = at + 1
  end
end
-- Keep the order even if the clock went back.
local stop = #log
while stop > begin and struct.unpack('>I6', log, stop - 11) > at do
  stop = stop - 12
end
local records = log:sub(begin, stop) .. struct.pack('>I6c6', at, nonce) .. log:sub(stop + 1)
records = records:sub(math.max(1, #records - (count + SPARE) * 12 + 1))
redis.call('PSETEX', KEYS[1], at + window - now, struct.pack('>I6I4', window, count) .. records)
return string.format('1 %d', at)
