-- What is sent, entered and refused in a country, as core/traffic.py defines it; after fraud_ledger.
--
-- KEYS   see fraud_ledger: the tally, and the past, which is read once an hour only
--
-- A tally is an hour (4 bytes, since the epoch) and its counts: sent, verified, refused, would be
-- refused (6 bytes each, signed), cost in millionths of money (a double). The past is such records,
-- oldest first: hours, and days where they are older than two days. Foreign values are errors
-- before anything is changed.

local HOUR, TRAFFIC, TRAFFIC_SIZE = 3600000, '>I4i6i6i6i6d', 36
local TRAFFIC_LIFETIME = 16 * 24 * HOUR
local hour, past = math.floor(now / HOUR), nil
local had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost = hour, 0, 0, 0, 0, 0
if had[7] then
  assert(#had[7] == TRAFFIC_SIZE, 'a foreign value')
  had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost =
    struct.unpack(TRAFFIC, had[7])
  assert(is_finite(had_cost), 'a foreign value')
  if had_hour < hour then
    past = (redis.call('GET', KEYS[#KEYS]) or '') .. had[7]
    assert(#past % TRAFFIC_SIZE == 0, 'a foreign value')
    had_hour, had_sent, had_verified, had_refused, had_would_refuse, had_cost = hour, 0, 0, 0, 0, 0
  end
end

-- The past as it is kept: old hours as days, and old days dropped.
local function keep_past()
  local first, kept = hour - 14 * 24, {}
  first = first - first % 24
  for from = 1, #past, TRAFFIC_SIZE do
    local record, last = { struct.unpack(TRAFFIC, past, from) }, kept[#kept]
    if record[1] < hour - 48 then
      record[1] = record[1] - record[1] % 24
    end
    if last and last[1] == record[1] then
      for nth = 2, 6 do
        last[nth] = last[nth] + record[nth]
      end
    elseif record[1] >= first then
      kept[#kept + 1] = record
    end
  end
  for nth, record in ipairs(kept) do
    kept[nth] = struct.pack(TRAFFIC, unpack(record, 1, 6))
  end
  redis.call('SET', KEYS[#KEYS], table.concat(kept), 'PX', TRAFFIC_LIFETIME)
end

local function count_traffic(sent, verified, refused, would_refuse, cost)
  if past then
    keep_past()
  end
  redis.call('SET', KEYS[7],
    struct.pack(TRAFFIC, had_hour, had_sent + sent, had_verified + verified, had_refused + refused,
      had_would_refuse + would_refuse, had_cost + cost),
    'PX', TRAFFIC_LIFETIME)
end
