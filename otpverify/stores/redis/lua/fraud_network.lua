-- The log of an IP network: what is counted, as `reserve` of core/send_limits.py defines it.
--
-- A value is the retention (window in 6 bytes, count in 4) of all limits that it was counted for,
-- and instants (6), oldest first. It is kept as a phone's log is; see common.lua.

-- Count one event. `retention` is that of the limits of this call. Gives what names the event.
local function count_event(key, raw, retention)
  local begin = 11
  if raw ~= '' then
    local oldest = now - struct.unpack('>I6', raw)
    while begin < #raw and struct.unpack('>I6', raw, begin) <= oldest do
      begin = begin + 6
    end
  end
  local window, count = struct.unpack('>I6I4', retention)
  if begin < #raw then
    local had_window, had_count = struct.unpack('>I6I4', raw)
    window, count = math.max(window, had_window), math.max(count, had_count)
  end
  -- The order stays even if the clock went back, and no two events have one name.
  local stop = #raw
  while stop > begin and struct.unpack('>I6', raw, stop - 5) >= now do
    stop = stop - 6
  end
  local at = now
  while stop < #raw and struct.unpack('>I6', raw, stop + 1) == at do
    at, stop = at + 1, stop + 6
  end
  local log = raw:sub(begin, stop) .. struct.pack('>I6', at) .. raw:sub(stop + 1)
  log = log:sub(math.max(1, #log - (count + 100) * 6 + 1))
  redis.call('SET', key, struct.pack('>I6I4', window, count) .. log, 'PX', at + window - now)
  return at
end
