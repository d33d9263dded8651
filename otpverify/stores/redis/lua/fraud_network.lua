-- Count a message in the log of its IP network, as `reserve` of core/send_limits.py defines it; after
-- fraud_ledger. An operation says before what the log is, `network`, and where its argument has the
-- `limits`. The `event` names what is counted.
--
-- A value is the retention (window in 6 bytes, count in 4) of all limits that it was counted for,
-- and instants (6), oldest first. It is kept as a phone's log is; see common.lua.

local begin = 11
if network ~= '' then
  local oldest = now - unpack_bytes('>I6', network)
  while begin < #network and unpack_bytes('>I6', network, begin) <= oldest do
    begin = begin + 6
  end
end
local window, count = unpack_bytes('>I6I4', ARGV[1], limits)
if begin < #network then
  local had_window, had_count = unpack_bytes('>I6I4', network)
  window, count = max(window, had_window), max(count, had_count)
end
-- The order stays even if the clock went back, and no two events have one name.
local stop = #network
while stop > begin and unpack_bytes('>I6', network, stop - 5) >= now do
  stop = stop - 6
end
event = now
while stop < #network and unpack_bytes('>I6', network, stop + 1) == event do
  event, stop = event + 1, stop + 6
end
local log = network:sub(begin, stop) .. pack_bytes('>I6', event) .. network:sub(stop + 1)
log = log:sub(max(1, #log - (count + 100) * 6 + 1))
call('PSETEX', KEYS[7], event + window - now, pack_bytes('>I6I4', window, count) .. log)
