-- Take in how far a message got; give its send back when it certainly did not arrive, if it may be
-- and is not concealed.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, at (6 bytes), status (1; see common.lua), whether a failed send may be given
--        back (1): 0 or 1
-- Reply  "known changed given_back", each 0 or 1
--
-- Safe to repeat: a status that is there already is not news.

-- include clock
-- include common
local at, status, may_give_back = unpack_bytes('>I6BB', arguments, added_at)
-- include sends
local code, was
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, _, reserved, got = unpack_bytes('>I6c6I6B', raw, from)
  if reserved == at and ends > now and not code then
    code, was = from, got
  end
end
was = was or found and (found_kind - 1) % 4
if not was then
  return '0 0 0'
elseif was >= DELIVERED or status <= was then
  return '1 0 0' -- what is final stays; nothing goes backwards
end

if code then
  raw = sub(raw, 1, code + 17) .. pack_bytes('B', status) .. sub(raw, code + 19)
  call('PSETEX', KEYS[2], expires - now, raw)
end
local was_hidden = found and sub(log, found, found) > 'Z'
if status > DELIVERED and may_give_back == 1 and not was_hidden then
-- include unsend
  if given_back then
    return '1 1 1'
  end
end
if found then
  local as = found_kind - (found_kind - 1) % 4 + math.min(status, 3)
  log = sub(log, 1, found - 1) .. sub(KINDS, as, as) .. sub(log, found + 1)
  call('SET', KEYS[1], log, 'KEEPTTL')
end
return '1 1 0'
