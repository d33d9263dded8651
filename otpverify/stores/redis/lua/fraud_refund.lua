-- Give back everything that was counted for a message that was certainly not sent.
--
-- KEYS   see fraud_ledger
-- ARGV   price, at_risk, cost in millionths (doubles), at, event, bill (6 bytes each), who paid,
--        raised (1 byte each), as fraud_charge replied; of each cap what the message took (a
--        double) and window (6)
-- Reply  "1"

-- include fraud_ledger
-- include fraud_caps
-- include fraud_traffic

-- Take one event out of a network's log, unless it is full (100 events beyond the largest count): it
-- may have dropped an older one that would count in its place.
local function remove_event(key, raw, at)
  assert(#raw > 10 and #raw % 6 == 4, 'a foreign value')
  local window, count = struct.unpack('>I6I4', raw)
  local found, recent = nil, 0
  for from = #raw - 5, 11, -6 do
    local one = struct.unpack('>I6', raw, from)
    if one > now - window then
      recent = recent + 1
    end
    if one == at then
      found = from
    end
  end
  if not found or recent >= count + 100 then
    return
  end
  if #raw == 16 then
    redis.call('DEL', key)
  else
    redis.call('SET', key, raw:sub(1, found - 1) .. raw:sub(found + 6), 'KEEPTTL')
  end
end

local price, at_risk, cost, at, event, bill, paid, raised =
  struct.unpack('>dddI6I6I6BB', ARGV[1])
-- include fraud_accounts
-- include fraud_give
local windows = {}
for place = 9, #KEYS - 1 do
  local took, window = struct.unpack('>dI6', ARGV[1], 45 + 14 * (place - 9))
  local part = math.floor(at * 60 / window)
  if had[place] and part_ends(part, window) > now then
    local begin, sum = cap_live(had[place], window)
    windows[place] = { window, begin, sum, part, -took }
  end
end
if event > 0 and had[8] then
  remove_event(KEYS[8], had[8], event)
end
for place, window in pairs(windows) do
  cap_put(KEYS[place], had[place], unpack(window))
end
if paid < 8 then
  give(paid % 4 + 1, paid >= 4, price, 1, 0)
end
if raised == 1 and number then
  unanswered = math.max(0, unanswered - 1)
  redis.call('SET', KEYS[5], struct.pack('>I6I4', known_until, unanswered), 'KEEPTTL')
end
count_traffic(-1, 0, 0, (paid >= 8 and paid < 11) and -1 or 0, -cost)
local others = ''
for from = 1, #bills, BILL_SIZE do
  if struct.unpack('>I6', bills, from) ~= bill then
    others = others .. bills:sub(from, from + BILL_SIZE - 1)
  end
end
if #others < #bills then
  keep_bills(others, newest)
end
return replies('1')
