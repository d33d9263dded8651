-- Count an attempt, compare, and consume the challenge when the code is right.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope, digest, nonce, milliseconds for which a used challenge is remembered
-- Reply  {0, 0} gone, {1, retry_in} exhausted, {3, attempts_left} wrong, {4, 0} accepted
--
-- Safe to repeat: an attempt with a nonce that was seen is answered again and not counted again,
-- so that a reply that got lost neither costs an attempt nor burns a right code.

local digest, nonce = ARGV[3], ARGV[4]
local raw = call('GET', KEYS[2])
local kind, attempts, nonces, codes_at, expires = read_challenge(raw)
if not kind then
  return {attempts == nonce and 4 or 0, 0}
end
read_phone()
for from = 7, codes_at - 6, 6 do
  if raw:sub(from, from + 5) == nonce then
    return {3, attempts_left(attempts)}
  end
end
if attempts >= max_attempts or budget_wait() > 0 then
  return {1, (send_wait())}
end

-- The newest live codes. Digests are keyed, so that how long this takes tells a guesser nothing.
local codes, live = live_part(raw, codes_at)
local matches = false
for from = math.max(0, live - live_codes) * 51 + 20, #codes, 51 do
  matches = matches or codes:sub(from, from + 31) == digest
end
if matches and kind ~= 'D' then
  call('PSETEX', KEYS[2], ARGV[5], 'U' .. nonce)
  return {4, 0}
end

-- The nonces of the last eight attempts are kept.
local known = raw:sub(nonces < 8 and 7 or 13, codes_at - 1) .. nonce
raw = pack_bytes('>c1I4B', kind, attempts + 1, #known / 6) .. known .. raw:sub(codes_at)
call('PSETEX', KEYS[2], expires - now, raw)
log_entry('F', now)
failures[#failures + 1] = now
return {3, attempts_left(attempts + 1)}
