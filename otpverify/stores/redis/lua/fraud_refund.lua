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
local price, at_risk, cost, at, event, bill, paid, raised =
  unpack_bytes('>dddI6I6I6BB', ARGV[1])
local times, entered, earned = 1, 0, 0
-- include fraud_accounts
local windows = {}
for place = 8, #KEYS - 1 do
  local took, window = unpack_bytes('>dI6', ARGV[1], 45 + 14 * (place - 8))
  local part = floor(at * 60 / window)
  if had[place] and part_ends(part, window) > now then
    local begin, sum = cap_live(had[place], window)
    windows[place] = { window, begin, sum, part, -took }
  end
end
local network = event > 0 and had[7]
if network then
  -- Take the event out of the network's log, unless that is full (100 events beyond the largest
  -- count): it may have dropped an older one that would count in its place.
  assert(#network > 10 and #network % 6 == 4, 'a foreign value')
  local window, count = unpack_bytes('>I6I4', network)
  local found, recent = nil, 0
  for from = #network - 5, 11, -6 do
    local one = unpack_bytes('>I6', network, from)
    if one > now - window then
      recent = recent + 1
    end
    if one == event then
      found = from
    end
  end
  if found and recent < count + 100 then
    if #network == 16 then
      call('DEL', KEYS[7])
    else
      call('SET', KEYS[7], network:sub(1, found - 1) .. network:sub(found + 6), 'KEEPTTL')
    end
  end
end
for place, window in pairs(windows) do
  cap_put(KEYS[place], had[place], unpack(window))
end
local group, place, prefix_after, country_after, world_after
if paid < 8 then
-- include fraud_give
end
local sent, verified, refused, would_refuse = -1, 0, 0, 0
if paid >= 8 and paid < 11 then
  would_refuse = -1
end
cost = -cost
-- include fraud_keep
if raised == 1 and number then
  call('SET', KEYS[5], pack_bytes('>I6I4', known_until, max(0, unanswered - 1)), 'KEEPTTL')
end
local others = ''
for from = 1, #bills, BILL_SIZE do
  if unpack_bytes('>I6', bills, from) ~= bill then
    others = others .. bills:sub(from, from + BILL_SIZE - 1)
  end
end
if #others < #bills then
  bills = others
-- include fraud_keep_bills
end
call('PSETEX', KEYS[1], '30000', '1')
return '1'
