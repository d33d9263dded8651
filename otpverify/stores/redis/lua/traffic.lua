-- What was counted in all countries in a window, as core/traffic.py defines it; see fraud_traffic.
--
-- KEYS   of each country its accounts, with the tally, and its past; see fraud_ledger
-- ARGV   hours
-- Reply  the time; then of each country that has any counts: its number, 1 and up, and its counts

-- include clock
local HOUR, TRAFFIC = 3600000, '>I4i6i6i6i6d'
local hours = tonumber(ARGV[1])
local first = math.floor(now / HOUR) - hours
if hours > 48 then
  first = first - first % 24
end
local found = redis.call('MGET', unpack(KEYS))
for place, key in ipairs(KEYS) do
  if not found[place] then
    redis.call('GET', key) -- an error if it is of another type, of which MGET says nothing
  end
end
local reply = { string.format('%.0f', now) }
for place = 1, #KEYS, 2 do
  local accounts = found[place]
  assert(not accounts or #accounts == 82, 'a foreign value')
  local raw = (found[place + 1] or '') .. (accounts and accounts:sub(47) or '')
  assert(#raw % 36 == 0, 'a foreign value')
  local sent, verified, refused, would_refuse, cost = 0, 0, 0, 0, 0
  for from = #raw - 35, 1, -36 do
    local begin, s, v, r, w, c = struct.unpack(TRAFFIC, raw, from)
    assert(c - c == 0, 'a foreign value') -- infinite, or not a number
    if begin < first then
      break
    end
    sent, verified, refused = sent + s, verified + v, refused + r
    would_refuse, cost = would_refuse + w, cost + c
  end
  local counts, any = { sent, verified, refused, would_refuse, cost }, false
  for nth = 1, 5 do
    any = any or counts[nth] > 0
    counts[nth] = string.format('%.0f', math.max(0, counts[nth]))
  end
  if any then
    reply[#reply + 1] = (place + 1) / 2 .. ' ' .. table.concat(counts, ' ')
  end
end
return table.concat(reply, ' ')
