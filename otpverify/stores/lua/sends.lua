-- What release and report need of the phone's log beside common.lua: one send, to be given back
-- or marked.

local DELIVERED, KINDS, SENT = 2, {'S', 'T', 'D'}, {S = 0, T = 1, D = 2}

-- Where the record is of this challenge's send that was reserved at an instant; or nothing.
local function find_send(at)
  local wanted = pack_bytes('>I6c8c4', at, scope, KEYS[2]:sub(-4))
  for from = begin, #log, 19 do
    if log:sub(from + 1, from + 18) == wanted and log:sub(from, from) ~= 'F' then
      return from
    end
  end
end

local function put_log(records)
  if records == '' then
    call('DEL', KEYS[1])
  else
    call('SET', KEYS[1], log:sub(1, 10) .. records, 'KEEPTTL')
  end
  read_phone()
end

local function mark(found, kind)
  put_log(log:sub(begin, found - 1) .. kind .. log:sub(found + 1))
  return true
end

-- Whether it was given back.
local function give_back(found)
  local own = 0
  for from = begin, #log, 19 do
    if log:sub(from, from) ~= 'F' and log:sub(from + 7, from + 14) == scope then
      own = own + 1
    end
  end
  -- A log that is full may have dropped an older send that would count in its place.
  if own >= count + SPARE then
    return false
  end
  put_log(log:sub(begin, found - 1) .. log:sub(found + 19))
  return true
end
