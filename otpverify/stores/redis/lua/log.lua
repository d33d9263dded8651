-- Put an event of a kind, at an instant, into the phone's log; drop what no limit looks at any more;
-- write it.

if own_window > window then
  window = own_window
end
if own_count > count then
  count = own_count
end
local records, name = '', sub(KEYS[2], -22)
local alone = window > 0 and begin > #log and streak == 0 and streaks == ''
if alone then -- as at most starts: one command, and nothing to put together
  local value = pack_bytes('>I6I4c1I6c8c22', window, count, event, at, scope, name)
  call('PSETEX', KEYS[1], at + window - now, value)
elseif window > 0 then
  -- After a failover the clock may have gone back; the log stays in order.
  local stop = #log
  while stop > begin and unpack_bytes('>I6', log, stop - 35) > at do
    stop = stop - 37
  end
  local entry = pack_bytes('>c1I6c8c22', event, at, scope, name)
  records = sub(log, begin, stop) .. entry .. sub(log, stop + 1)
  if #records > SPARE * 37 then
    -- Of each kind and scope, the newest records, as many as a log holds.
    local held, kept, parts = {}, {}, {}
    for from = #records - 36, 1, -37 do
      local of, _, whose = unpack_bytes('>c1I6c8', records, from)
      local each = (of == 'F' and 'F' or of > 'Z' and 's' or 'S') .. whose
      held[each] = (held[each] or 0) + 1
      if held[each] <= count + SPARE then
        kept[#kept + 1] = sub(records, from, from + 36)
      end
    end
    for index = #kept, 1, -1 do
      parts[#parts + 1] = kept[index]
    end
    records = table.concat(parts)
  end
end
if not alone then
-- include phone
end
