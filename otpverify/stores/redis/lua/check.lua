-- Count an attempt, unless it was claimed; compare, and consume the challenge when the code is
-- right: its proof is left.
--
-- KEYS   phone, challenge
-- ARGV   scope, policy, nonce (6 bytes), digest (32), lifetime of a proof (6), whether the attempt
--        was claimed (1): 0 or 1
-- Reply  "0 0" gone, "1 retry_in" exhausted, "3 attempts_left" wrong, "4 0 age" accepted,
--        with the milliseconds since its code was sent, which a repeat leaves out
--
-- Safe to repeat: an attempt with a nonce that was seen is answered again and not counted again,
-- so that a reply that got lost neither costs an attempt nor burns a right code.

local REMEMBER_USED = 30000 -- milliseconds: longer than any sensible time-out, repeats included
local ANSWERED = {S = 'U', T = 'V', D = 'W', K = 'X'} -- a send whose code was entered: see common.lua

-- include clock
-- include common
local nonce, digest, proof_ttl, claimed = unpack_bytes('>c6c32I6B', arguments, added_at)
if not kind then
  return used == nonce and '4 0' or '0 0'
end
for from = 7, codes_at - 6, 6 do
  if sub(raw, from, from + 5) == nonce then
    return '3 ' .. left
  end
end
left = math.min(max_attempts - attempts + claimed, admitted)
if left > 0 then
  -- The newest live codes. Digests are keyed: how long this takes tells a guesser nothing.
  local live, sent_at = 0, nil
  for from = #raw - 50, codes_at, -51 do
    local expected = sub(raw, from + 19, from + 50)
    if live < live_codes and expected ~= TO_FOLLOW and unpack_bytes('>I6', raw, from) > now then
      live = live + 1
      if not sent_at and expected == digest then
        sent_at = unpack_bytes('>I6', raw, from + 12)
      end
    end
  end
  if sent_at and kind ~= 'D' then
    local keep = math.max(proof_ttl, REMEMBER_USED)
    call('PSETEX', KEYS[2], keep, pack_bytes('>c1c6I6', 'U', nonce, now + proof_ttl))
    local records, name, answered = sub(log, begin), sub(KEYS[2], -22), false
    for from = 1, #records, 37 do
      local of = ANSWERED[sub(records, from, from)]
      if of and sub(records, from + 15, from + 36) == name then
        records, answered = sub(records, 1, from - 1) .. of .. sub(records, from + 1), true
      end
    end
    if had_streak or answered then
      streak = 0
-- include phone
    end
    return '4 0 ' .. math.max(0, now - sent_at)
  end

  attempts = attempts + 1 - claimed
-- include attempt
  if row > 0 or streak > 0 then
    streak, streak_at = streak + 1, math.max(streak_at, now)
    streak_window = math.max(streak_window, row_window)
  end
  local event, at = 'F', now
-- include log
  return '3 ' .. left - 1
end
-- include wait
return '1 ' .. send_wait()
