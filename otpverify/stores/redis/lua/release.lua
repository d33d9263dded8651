-- Give the send reserved at an instant back; void its code if it was not delivered, or still waits
-- for its digest.
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

local void, kept, until_last = pack_bytes('>I6', at), '', 0
for from = codes_at or 1, kind and #raw or 0, 51 do
  local digest = sub(raw, from + 19, from + 50)
  if sub(raw, from + 12, from + 17) ~= void or (digest ~= undelivered and digest ~= TO_FOLLOW) then
    kept = kept .. sub(raw, from, from + 50)
    until_last = math.max(until_last, (unpack_bytes('>I6', raw, from)))
  end
end
if kind and #kept < #raw - codes_at + 1 then
  kept, expires = sub(raw, 1, codes_at - 1) .. kept, until_last
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
