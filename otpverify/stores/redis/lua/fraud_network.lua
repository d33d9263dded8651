-- Count a message in the log of its IP network, as `reserve` of core/send_limits.py defines it; after
-- fraud_ledger. An operation says before what the log is, `network`, and where its argument has the
-- `limits`. The `event` names what is counted.
--
-- A value is the retention (window in 6 bytes, count in 4) of all limits that it was counted for,
-- and instants (6), oldest first. It is kept as a phone's log is; see common.lua.

local window, count = unpack_bytes('>I6I4', ARGV[1], limits)
local retention, begin, stop = ARGV[1]:sub(limits, limits + 9), 11, #network
if network ~= '' then
  local had_window, had_count, oldest = unpack_bytes('>I6I4I6', network)
  while oldest and oldest <= now - had_window do
    begin = begin + 6
    oldest = begin < stop and unpack_bytes('>I6', network, begin)
  end
  if oldest and (had_window > window or had_count > count) then
    window, count = max(window, had_window), max(count, had_count)
    retention = pack_bytes('>I6I4', window, count)
  end
end
-- The order stays even if the clock went back, and no two events have one name.
while stop > begin and unpack_bytes('>I6', network, stop - 5) >= now do
  stop = stop - 6
end
event = now
while stop < #network and unpack_bytes('>I6', network, stop + 1) == event do
  event, stop = event + 1, stop + 6
end
local log = network:sub(begin, stop) .. pack_bytes('>I6', event)
if stop < #network then
  log = log .. network:sub(stop + 1)
end
if #log > (count + 100) * 6 then
  log = log:sub(-(count + 100) * 6)
end
call('PSETEX', KEYS[7], event + window - now, retention .. log)
