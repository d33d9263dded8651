-- Take one event out of a counter again.
--
-- KEYS   counter
-- ARGV   at
-- Reply  "1"

-- include clock
local raw, at = redis.call('GET', KEYS[1]) or '', tonumber(ARGV[1])
local found, recent = nil, 0
for from = 11, #raw, 12 do
  local one = struct.unpack('>I6', raw, from)
  if one == at then
    found = found or from
  end
  if one > now - struct.unpack('>I6', raw) then
    recent = recent + 1
  end
end
-- A log that is full may have dropped an older event that would count in its place.
if found and recent < struct.unpack('>I4', raw, 7) + 100 then
  local rest = raw:sub(11, found - 1) .. raw:sub(found + 12)
  if rest == '' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('SET', KEYS[1], raw:sub(1, 10) .. rest, 'KEEPTTL')
  end
end
return '1'
