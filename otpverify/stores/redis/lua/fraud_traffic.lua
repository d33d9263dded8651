-- What is sent, entered and refused in a country, as core/traffic.py defines it; after fraud_ledger.
--
-- KEYS   see fraud_ledger: the tally, and the past, which is read once an hour only
--
-- A tally is an hour (4 bytes, since the epoch) and its counts: sent, verified, refused, would be
-- refused (6 bytes each, signed), cost in millionths of money (a double). The past is such records,
-- oldest first: hours, and days where they are older than two days.

local HOUR = 3600000
local TRAFFIC = '>I4i6i6i6i6d'
local TRAFFIC_LIFETIME = 16 * 24 * HOUR

local function add_to_past(hour, raw)
  local past = (redis.call('GET', KEYS[#KEYS]) or '') .. raw
  assert(#past % 36 == 0, 'a foreign value')
  local first, kept = hour - 14 * 24, {}
  first = first - first % 24
  for from = 1, #past, 36 do
    local record = { struct.unpack(TRAFFIC, past, from) }
    local begin, last = record[1], kept[#kept]
    if begin < hour - 48 then
      begin = begin - begin % 24
    end
    if last and last[1] == begin then
      for nth = 2, 6 do
        last[nth] = last[nth] + record[nth]
      end
    elseif begin >= first then
      record[1] = begin
      kept[#kept + 1] = record
    end
  end
  for nth, record in ipairs(kept) do
    kept[nth] = struct.pack(TRAFFIC, unpack(record, 1, 6))
  end
  redis.call('SET', KEYS[#KEYS], table.concat(kept), 'PX', TRAFFIC_LIFETIME)
end

local function count_traffic(sent, verified, refused, would_refuse, cost)
  local hour, raw = math.floor(now / HOUR), had[7]
  if raw then
    local begin, s, v, r, w, c = struct.unpack(TRAFFIC, raw)
    assert(#raw == 36 and is_finite(c), 'a foreign value')
    if hour <= begin then
      hour = begin
      sent, verified, refused = sent + s, verified + v, refused + r
      would_refuse, cost = would_refuse + w, cost + c
    else
      add_to_past(hour, raw)
    end
  end
  redis.call('SET', KEYS[7],
    struct.pack(TRAFFIC, hour, sent, verified, refused, would_refuse, cost),
    'PX', TRAFFIC_LIFETIME)
end
