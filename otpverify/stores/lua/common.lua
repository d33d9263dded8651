-- What open, peek, check and release share; the loader puts it in front of them, behind
-- clock.lua. What it computes is defined by otpverify/core/challenge.py; it is tested against it,
-- answer by answer.
--
-- KEYS   phone, challenge
-- ARGV   policy, scope, ...
--
-- A policy is ttl (6 bytes), max_attempts (4), live_codes (4), cooldown (6), failures (4) and
-- their window (6), its horizon (the longest window: 6, the largest count: 4), then each limit on
-- sends: count (4), window (6). Times are in milliseconds; 0 where there is no such limit. All
-- numbers here are big-endian.
--
-- A phone is the horizon (10 bytes) of all policies that wrote to it, and records of 19 bytes,
-- oldest first: 'F' (a wrong code) or a send by its message's status, 'S' (queued, or unknown),
-- 'T' (with the carrier), 'D' (delivered); the instant (6 bytes), the scope (8), the end of the
-- challenge's name (4). What lies behind the horizon is as good as gone; without anything before
-- it, so is the horizon.
--
-- A challenge is 'L' (live) or 'D' (decoy), its attempts (4 bytes), a count (1 byte) of the nonces
-- of its last attempts and the nonces (6 bytes each), then its codes, oldest first, of 51 bytes:
-- expiry (6 bytes), nonce (6), the instant that names its send (6), its message's status (1),
-- digest (32). Statuses are 0 queued, 1 sent, 2 delivered, above that failed. A used one is 'U' and the nonce of its use, for a
-- few seconds.

local call, unpack_bytes, pack_bytes = redis.call, struct.unpack, struct.pack
local now = clock()
local policy, scope = ARGV[1], ARGV[2]
local ttl, max_attempts, live_codes, cooldown, budget, budget_window, own_window, own_count, limits_at =
  unpack_bytes('>I6I4I4I6I4I6I6I4', policy)
local SPARE = 100 -- what a log holds beyond the largest count

-- The phone's log: its horizon, where it begins; instants, oldest first, of all sends, and of
-- this scope's failures; and of this scope's last send.
local log, window, count, begin, sends, failures, last
local function read_phone()
  log, window, count, begin = call('GET', KEYS[1]) or '', 0, 0, 11
  sends, failures, last = {}, {}, nil
  if log == '' then
    return
  end
  window, count = unpack_bytes('>I6I4', log)
  for from = 11, #log, 19 do
    local kind, at, whose = unpack_bytes('>c1I6c8', log, from)
    if at <= now - window then
      begin = from + 19
    elseif kind ~= 'F' then
      sends[#sends + 1] = at
      if whose == scope then
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

-- Milliseconds until a limit of `count` in `window` admits one more of these instants.
local function wait_of(instants, count, window)
  local at = instants[#instants - count + 1]
  return at and at > now - window and at + window - now or 0
end

local function budget_wait()
  return budget > 0 and wait_of(failures, budget, budget_window) or 0
end

-- The longest wait of all limits on a send, and which limit: 0 the cooldown, 1 and up the limits
-- of the policy, -1 the failures. The first of equals.
local function send_wait()
  local longest, which, index, from = 0, 0, 0, limits_at
  if cooldown > 0 and last and last > now - cooldown then
    longest = last + cooldown - now
  end
  while from <= #policy do
    local count, window
    count, window, from = unpack_bytes('>I4I6', policy, from)
    index = index + 1
    local wait = wait_of(sends, count, window)
    if wait > longest then
      longest, which = wait, index
    end
  end
  local wait = budget_wait()
  if wait > longest then
    longest, which = wait, -1
  end
  return longest, which
end

-- Of each kind and scope, the newest records, as many as a log holds.
local function newest(records)
  local held, kept = {}, {}
  for from = #records - 18, 1, -19 do
    local kind, _, whose = unpack_bytes('>c1I6c8', records, from)
    local which = (kind == 'F' and 'F' or 'S') .. whose
    held[which] = (held[which] or 0) + 1
    if held[which] <= count + SPARE then
      kept[#records - from] = records:sub(from, from + 18)
    end
  end
  local parts = {}
  for place = #records - 1, 1, -19 do
    parts[#parts + 1] = kept[place]
  end
  return table.concat(parts)
end

-- Put an entry into the log, drop what no limit looks at any more, and write it.
local function log_entry(kind, at)
  window, count = math.max(window, own_window), math.max(count, own_count)
  if window == 0 then
    return
  end
  -- After a failover the clock may have gone back; the log stays in order.
  local stop = #log
  while stop > begin and unpack_bytes('>I6', log, stop - 17) > at do
    stop = stop - 19
  end
  local entry = pack_bytes('>c1I6c8c4', kind, at, scope, KEYS[2]:sub(-4))
  local records = log:sub(begin, stop) .. entry .. log:sub(stop + 1)
  if #records > SPARE * 19 then
    records = newest(records)
  end
  call('PSETEX', KEYS[1], at + window - now, pack_bytes('>I6I4', window, count) .. records)
end

local function recent(instants, window)
  local count = 0
  for index = #instants, 1, -1 do
    if instants[index] <= now - window then
      break
    end
    count = count + 1
  end
  return count
end

local function attempts_left(attempts)
  local left = math.max(0, max_attempts - attempts)
  if budget > 0 then
    left = math.min(left, math.max(0, budget - recent(failures, budget_window)))
  end
  return left
end

-- A live challenge as kind, attempts, count of nonces, where its codes begin, its last expiry; or
-- nothing, and the nonce of its use when it was used.
local function read_challenge(raw)
  if not raw then
    return nil
  end
  local kind, attempts, nonces = unpack_bytes('>c1I4B', raw)
  if kind == 'U' then
    return nil, raw:sub(2)
  end
  local codes_at, expires = 7 + nonces * 6, 0
  for from = codes_at, #raw, 51 do
    expires = math.max(expires, (unpack_bytes('>I6', raw, from)))
  end
  if expires > now then
    return kind, attempts, nonces, codes_at, expires
  end
  return nil
end

-- The codes that have not expired, as they are stored, and how many they are.
local function live_part(raw, codes_at)
  local parts = {}
  for from = codes_at, #raw, 51 do
    if unpack_bytes('>I6', raw, from) > now then
      parts[#parts + 1] = raw:sub(from, from + 50)
    end
  end
  return table.concat(parts), #parts
end

-- head, expires_in, resend_in, attempts_left, sends_left (-1: no limit), decoy
local function standing(head, at, kind, attempts, expires)
  local left, from = -1, limits_at
  while from <= #policy do
    local count, window
    count, window, from = unpack_bytes('>I4I6', policy, from)
    local room = math.max(0, count - recent(sends, window))
    if left < 0 or room < left then
      left = room
    end
  end
  local wait = send_wait()
  return {head, at, expires - now, wait, attempts_left(attempts), left, kind == 'D' and 1 or 0}
end
