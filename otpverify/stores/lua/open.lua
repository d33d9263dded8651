-- Check cooldown, limits and failure budget; reserve a send; put a code in place.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope, digest, nonce, 'N' (new), 'D' (new decoy) or 'R' (a further code)
-- Reply  {1, at, expires_in, resend_in, attempts_left, sends_left, decoy}
--        {0, wait, which} refused by a limit (see send_wait)
--        {2, wait} no attempts left; {3} no such challenge
--
-- Safe to repeat: a code that is in place under the same nonce is not put there again, even when
-- another one came between.

local digest, nonce, mode = ARGV[3], ARGV[4], ARGV[5]
read_phone()

local raw, at = call('GET', KEYS[2]), now
local kind, attempts, nonces, codes_at, expires = read_challenge(raw)
for from = codes_at or 1, kind and #raw or 0, 51 do
  local _, seen, reserved = unpack_bytes('>I6c6I6', raw, from)
  if seen == nonce then
    return standing(1, reserved, kind, attempts, expires)
  end
  -- It names the reservation, so no two of a challenge are the same.
  at = math.max(at, reserved + 1)
end
if mode ~= 'R' then
  kind, attempts = mode == 'D' and 'D' or 'L', 0
elseif not kind then
  return {3}
elseif attempts >= max_attempts then
  return {2, (send_wait())}
end
local wait, which = send_wait()
if wait > 0 then
  return {0, wait, which}
end

local code = pack_bytes('>I6c6I6Bc32', now + ttl, nonce, at, 0, digest)
expires = math.max(expires or 0, now + ttl)
if mode == 'R' then
  raw = raw:sub(1, codes_at - 1) .. live_part(raw, codes_at) .. code
else
  raw = pack_bytes('>c1I4B', kind, 0, 0) .. code
  expires = now + ttl
end
call('PSETEX', KEYS[2], expires - now, raw)
log_entry('S', at)
sends[#sends + 1] = at
last = at
return standing(1, at, kind, attempts, expires)
