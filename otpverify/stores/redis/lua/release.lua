-- Give the send reserved at an instant back; void its code if it was not delivered.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, at (6 bytes), and the digest (32) of the undelivered code if there is one
-- Reply  "1 0 expires_in resend_in attempts_left sends_left decoy", or "0" when no live challenge
--        is left

-- include clock
-- include common
-- include wait
local at, undelivered = unpack_bytes('>I6', arguments, added_at), sub(arguments, added_at + 6)
-- include sends
-- include unsend

if kind and undelivered ~= '' then
  local void, kept = pack_bytes('>I6', at), sub(raw, 1, codes_at - 1)
  expires = 0
  for from = codes_at, #raw, 51 do
    if sub(raw, from + 12, from + 17) ~= void or sub(raw, from + 19, from + 50) ~= undelivered then
      kept = kept .. sub(raw, from, from + 50)
      expires = math.max(expires, (unpack_bytes('>I6', raw, from)))
    end
  end
  if expires > now then
    call('PSETEX', KEYS[2], expires - now, kept)
  else
    kind = nil
    call('DEL', KEYS[2])
  end
end
if not kind then
  return '0'
end
at = 0
-- include standing
