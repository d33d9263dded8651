-- Take in how far a message got; give its send back when it certainly did not arrive.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, at (6 bytes), status (1; see common.lua)
-- Reply  "known changed given_back", each 0 or 1
--
-- Safe to repeat: a status that is there already is not news.

-- include clock
-- include common
local at, status = unpack_bytes('>I6B', arguments, added_at)
-- include sends
local code, was
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, _, reserved, got = unpack_bytes('>I6c6I6B', raw, from)
  if reserved == at and ends > now and not code then
    code, was = from, got
  end
end
was = was or found and SENT[sub(log, found, found)]
if not was then
  return '0 0 0'
elseif was >= DELIVERED or status <= was then
  return '1 0 0' -- what is final stays; nothing goes backwards
end

if code then
  raw = sub(raw, 1, code + 17) .. pack_bytes('B', status) .. sub(raw, code + 19)
  call('PSETEX', KEYS[2], expires - now, raw)
end
if status <= DELIVERED then
  if found then
    local kinds = {'S', 'T', 'D'}
    log = sub(log, 1, found - 1) .. kinds[status + 1] .. sub(log, found + 1)
    call('SET', KEYS[1], log, 'KEEPTTL')
  end
  return (code or found) and '1 1 0' or '1 0 0'
end
-- include unsend
return given_back and '1 1 1' or code and '1 1 0' or '1 0 0'
