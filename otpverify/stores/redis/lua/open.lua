-- Check cooldown, limits and failure budget; reserve a send; put a code in place.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, nonce (6 bytes), digest (32; zeros: place.lua brings it), 'N' (new), 'C'
--        (new, concealed), 'D' (new decoy) or 'R' (a further code)
-- Reply  "1 at expires_in resend_in attempts_left sends_left kind" (see standing.lua)
--        "0 wait which" refused by a limit (see send_wait)
--        "2 wait" no attempts left; "3" no such challenge
--
-- Safe to repeat: a code that is in place under the same nonce is not put there again, even when
-- another one came between.

-- include clock
-- include common
-- include wait
local nonce, digest, mode = unpack_bytes('>c6c32c1', arguments, added_at)
local at, event, live, repeated = now, 'S', '', nil
for from = codes_at or 1, kind and #raw or 0, 51 do
  local ends, seen, reserved = unpack_bytes('>I6c6I6', raw, from)
  if seen == nonce then
    repeated = reserved
  end
  -- It names the reservation, so no two of a challenge are the same.
  at = math.max(at, reserved + 1)
  if ends > now then
    live = live .. sub(raw, from, from + 50)
  end
end
if repeated then
  at = repeated
else
  if mode ~= 'R' then
    if mode == 'N' then
      sends, last = visible, last_visible
    else
      sends, last = hidden, last_hidden
    end
  elseif not kind then
    return '3'
  elseif attempts >= max_attempts then
    return '2 ' .. send_wait()
  end
  local refused_for, refused_by = send_wait()
  if refused_for > 0 then
    return '0 ' .. refused_for .. ' ' .. refused_by
  end
  if mode ~= 'R' then
    kind, live, left = mode == 'N' and 'L' or mode, '', math.min(max_attempts, admitted)
    raw, expires = kind .. '\0\0\0\0\0', 0
  else
    raw = sub(raw, 1, codes_at - 1)
  end
  if kind ~= 'L' then
    event = 's'
  end
  if expires < now + ttl then
    expires = now + ttl
  end
  local code = pack_bytes('>I6c6I6Bc32', now + ttl, nonce, at, 0, digest)
  call('PSETEX', KEYS[2], expires - now, raw .. live .. code)
-- include log
  local place = #sends + 1
  while place > 1 and sends[place - 1] > at do
    sends[place], place = sends[place - 1], place - 1
  end
  sends[place], last = at, at
end
-- include standing
