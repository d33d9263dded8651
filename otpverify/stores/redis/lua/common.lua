-- What open, place, peek, claim, check, release, report and status begin with. What it computes is
-- defined by otpverify/core/challenge.py and send_limits.py; it is tested against them, answer by
-- answer. A function would be made in each run, at the price of a command, so there is none here.
--
-- KEYS   phone, challenge
-- ARGV   scope (8 bytes), policy, and what an operation adds
--
-- A policy is ttl (6 bytes), max_attempts (4), live_codes (4), cooldown (6), failures (4) and
-- their window (6), consecutive failures (4) and their window (6), its retention (the longest window: 6, the largest count: 4), how many limits on
-- sends there are (2), then each of them: count (4), window (6). Times are in milliseconds; 0
-- where there is no such limit. All numbers here are big-endian.
--
-- A phone is the retention (10 bytes) of all policies that wrote to it; its failure streaks, 25
-- bytes for each purpose that has one: 'R', the instant of the last wrong code (6), the scope (8),
-- how many in a row (4), and after how long without another it ends (6); and records of 37 bytes,
-- oldest first: 'F' (a wrong code) or a send by its message's status, 'S' (queued, or unknown),
-- 'T' (with the carrier), 'D' (delivered), 'K' (failed, and kept: it counts, and is not given back
-- for a report any more), in lower case where it is concealed, which is counted apart; or, in the
-- same order, 'U', 'V', 'W', 'X' where its code was entered, so that it causes no cooldown; the
-- instant (6 bytes), the scope (8), the challenge's name (22).
-- What lies behind the retention is as good as gone; without anything before it, so is the retention.
--
-- A challenge is 'L' (live), 'C' (concealed) or 'D' (decoy, concealed), its attempts (4 bytes), a count (1 byte) of the nonces
-- of its last attempts and the nonces (6 bytes each), then its codes, oldest first, of 51 bytes:
-- expiry (6 bytes), nonce (6), the instant that names its send (6), its message's status (1),
-- digest (32), which is zeros until place.lua brings it. Statuses are 0 queued, 1 sent, 2 delivered, above that failed. A used one is 'U',
-- the nonce of its use (6), the end of its proof (6), and the nonce by which that was redeemed (6)
-- if it was.

local call, sub, unpack_bytes, pack_bytes = redis.call, string.sub, struct.unpack, struct.pack
local arguments = ARGV[1]
local scope, ttl, max_attempts, live_codes, cooldown, budget, budget_window, row, row_window,
  own_window, own_count, limit_count = unpack_bytes('>c8I6I4I4I6I4I6I4I6I6I4I2', arguments)
local limits_at = 61
local added_at = limits_at + 10 * limit_count -- where what the operation adds begins
local SPARE = 100 -- what a log holds beyond the largest count
local TO_FOLLOW = string.rep('\0', 32) -- in place of a digest that place.lua brings

local log, raw = unpack(call('MGET', KEYS[1], KEYS[2]))
log = log or ''

-- The phone's log: its retention, where it begins; instants, oldest first, of all sends, and apart
-- those of concealed ones; this scope's last send of either kind that may cause a cooldown, and
-- instants of its failures. The
-- streaks of other scopes as they are, and when the last of them ends; of this scope, how many codes
-- in a row were wrong, when the last was, and after how long the streak ends.
local window, count, begin, sends, hidden, failures = 0, 0, 11, {}, {}, {}
local last, last_hidden
local streaks, streaks_end, streak, streak_at, streak_window, had_streak = '', 0, 0, 0, 0, false
if log ~= '' then
  window, count = unpack_bytes('>I6I4', log)
  while sub(log, begin, begin) == 'R' do
    local at, whose, wrong, lapse = unpack_bytes('>I6c8I4I6', log, begin + 1)
    had_streak = had_streak or whose == scope
    if at + lapse <= now then
      -- It has ended.
    elseif whose == scope then
      streak, streak_at, streak_window = wrong, at, lapse
    else
      streaks, streaks_end = streaks .. sub(log, begin, begin + 24), math.max(streaks_end, at + lapse)
    end
    begin = begin + 25
  end
  if (#log - begin + 1) % 37 ~= 0 then
    begin = #log + 1 -- The records of an earlier version: it is as if there were none.
  end
  for from = begin, #log, 37 do
    local kind, at, whose = unpack_bytes('>c1I6c8', log, from)
    if at <= now - window then
      begin = from + 37
    elseif kind > 'Z' then
      hidden[#hidden + 1] = at
      if whose == scope then
        last_hidden = at
      end
    elseif kind ~= 'F' then
      sends[#sends + 1] = at
      if whose == scope and kind < 'U' then
        last = at
      end
    elseif whose == scope then
      failures[#failures + 1] = at
    end
  end
  if begin > #log then
    window, count = 0, 0
  end
end

-- A live challenge: whether it is concealed, and then only concealed sends count for it; kind,
-- attempts, count of nonces, where its codes begin, its last expiry. Of a used one, `used` is the
-- nonce of its use.
local visible, last_visible = sends, last
local concealed, kind, attempts, nonces, codes_at, expires, used
if raw then
  kind, attempts, nonces = unpack_bytes('>c1I4B', raw)
  codes_at, expires = 7 + nonces * 6, 0
  if kind == 'C' or kind == 'D' then
    concealed, sends, last = true, hidden, last_hidden
  end
  if kind == 'U' then
    used = sub(raw, 2, 7)
  else
    for from = codes_at, #raw, 51 do
      local ends = unpack_bytes('>I6', raw, from)
      if ends > expires then
        expires = ends
      end
    end
  end
  if expires <= now then
    kind = nil
  end
end

-- How many wrong codes the budget still admits, and the wait until it admits one; how many codes
-- may still be compared for the challenge.
local admitted, budget_wait = budget > 0 and budget or max_attempts, 0
for place = budget > 0 and #failures or 0, 1, -1 do
  if failures[place] <= now - budget_window then
    break
  end
  admitted = admitted - 1
  if admitted == 0 then
    budget_wait = failures[place] + budget_window - now
    break
  end
end
-- The same of the streak, which is counted beside the budget.
local streak_wait = 0
if row > 0 then
  admitted = math.min(admitted, math.max(0, row - streak))
  if streak >= row then
    streak_wait = streak_at + streak_window - now
  end
end
local left = kind and math.max(0, math.min(max_attempts - attempts, admitted))
