-- Put the digest in place that the code of a send waits for.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, at (6 bytes), digest (32)
-- Reply  "1 0 expires_in resend_in attempts_left sends_left kind" (see standing.lua), or "0" when the
--        challenge is gone, or the send was given back
--
-- Safe to repeat: a digest that is in place is put there again.

-- include clock
-- include common
-- include wait
local at, digest = unpack_bytes('>I6c32', arguments, added_at)
local found
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, _, reserved, _, expected = unpack_bytes('>I6c6I6Bc32', raw, from)
  if reserved == at and ends > now and (expected == TO_FOLLOW or expected == digest) then
    found = from
  end
end
if not found then
  return '0'
end
raw = sub(raw, 1, found + 18) .. digest .. sub(raw, found + 51)
call('PSETEX', KEYS[2], expires - now, raw)
at = 0
-- include standing
