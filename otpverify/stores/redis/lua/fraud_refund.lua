-- Give back everything that was counted for a message that was certainly not sent.
--
-- KEYS   see fraud_ledger
-- ARGV   price, at_risk, cost in millionths (doubles), at, event (6 bytes each), bill, raised, first (1 byte each), as
--        fraud_charge replied; of each cap what the message took (a double) and window (6)
-- Reply  "1"

-- include fraud_ledger
-- include fraud_caps
-- include fraud_network
-- include fraud_traffic
local price, at_risk, cost, at, event, paid, raised, first =
  struct.unpack('>dddI6I6BBB', ARGV[1])
-- include fraud_accounts
local windows = {}
for place = 9, #KEYS - 1 do
  local took, window = struct.unpack('>dI6', ARGV[1], 40 + 14 * (place - 9))
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
  redis.call('SET', KEYS[5], math.max(0, tonumber(number) - 1), 'KEEPTTL')
end
count_traffic(-1, 0, 0, paid >= 8 and -1 or 0, -cost)
if first == 1 then
  redis.call('DEL', KEYS[6])
end
return replies('1')
