-- Giving a send back: what release needs beside common.lua.

local function give_back(at)
  local entry, own, found = pack_bytes('>c1I6c8', 'S', at, scope), 0, nil
  for from = begin, #log, 15 do
    local record = log:sub(from, from + 14)
    if record == entry then
      found = found or from
    end
    if record:sub(1, 1) == 'S' and record:sub(8) == scope then
      own = own + 1
    end
  end
  -- A log that is full may have dropped an older send that would count in its place.
  if not found or own >= count + SPARE then
    return false
  end
  local rest = log:sub(begin, found - 1) .. log:sub(found + 15)
  if rest == '' then
    call('DEL', KEYS[1])
  else
    call('SET', KEYS[1], log:sub(1, 10) .. rest, 'KEEPTTL')
  end
  read_phone()
  return true
end
