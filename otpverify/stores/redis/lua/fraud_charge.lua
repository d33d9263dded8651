-- Count a message in the IP network's limits, the caps and the accounts, or refuse it.
--
-- KEYS   see fraud_ledger
-- ARGV   price, at_risk, cost in millionths (doubles), remember (6 bytes), what is known of the
--        request (5 bytes, 1 for true: known, human, forced, observed, the number is counted); of
--        each cap what the message takes, amount (doubles), window (6); the network's limits, or
--        nothing, as in reserve
-- Reply  "1 at event paid raised bill levels": event names what the network's limits counted (0:
--        nothing); who paid as in fraud_ledger; raised is 0 or 1; bill names it; levels has a digit
--        for each cap: 0, and 1, 2, 4 added for 50, 80 and 100% reached
--        "0 which wait": an account refuses, 0 prefix, 1 country, 2 world: the one that does so for
--        the longest time; milliseconds
--        "2 which wait": a limit of the network, 1 and up
--        "3 which wait": a cap, 1 and up; -1: it never fits

-- include fraud_ledger
-- include fraud_caps
-- include fraud_network
-- include fraud_traffic
local nonce = KEYS[1]:sub(-6)
if newest:sub(1, 6) == nonce then
  return newest:sub(7)
end
local price, at_risk, cost, remember, known, human, forced, observed, counted =
  struct.unpack('>dddI6BBBBB', ARGV[1])
known, human, forced, observed, counted =
  known == 1, human == 1, forced == 1, observed == 1, counted == 1

local limits, network, which, longest = 36 + 22 * (#KEYS - 9), had[8] or '', 0, 0
local counts_network = limits <= #ARGV[1]
if counts_network and network ~= '' then
  assert(#network > 10 and #network % 6 == 4, 'a foreign value')
  local window = struct.unpack('>I6', network)
  for from = limits + 10, #ARGV[1], 10 do
    local most, period = struct.unpack('>I4I6', ARGV[1], from)
    local place = #network - 6 * most + 1
    local at = place > 10 and struct.unpack('>I6', network, place)
    if at and at > now - window and at + period - now > longest then
      which, longest = (from - limits) / 10, at + period - now
    end
  end
  if longest > 0 then
    count_traffic(0, 0, 1, 0, 0)
    return replies('2 ' .. which .. ' ' .. longest)
  end
end

local begins, sums, longest_cap, full, levels = {}, {}, 0, nil, ''
for place = 1, #KEYS - 9 do
  local takes, most, window = struct.unpack('>ddI6', ARGV[1], 36 + 22 * (place - 1))
  local raw = had[8 + place] or ''
  local begin, sum = 9, 0
  if raw ~= '' then
    begin, sum = cap_live(raw, window)
  end
  local after = sum + takes
  if after > most then
    local wait, rest = takes > most and math.huge or 0, sum
    for from = begin, #raw, 14 do
      local part, amount = struct.unpack('>I6d', raw, from)
      rest = rest - amount
      if rest + takes <= most then
        wait = math.max(wait, part_ends(part, window) - now)
        break
      end
    end
    if not full or wait > longest_cap then
      full, longest_cap = place, wait
    end
  end
  local level = 0
  if sum < 0.5 * most and 0.5 * most <= after then
    level = 1
  end
  if sum < 0.8 * most and 0.8 * most <= after then
    level = level + 2
  end
  if after + takes > most then -- no further message of that amount fits
    level = level + 4
  end
  begins[place], sums[place], levels = begin, sum, levels .. level
end
if full then
  count_traffic(0, 0, 1, 0, 0)
  return replies('3 ' .. full .. ' ' .. (longest_cap == math.huge and -1 or longest_cap))
end

-- include fraud_accounts
known = known or counted and number and unanswered < 3
local place = human and 2 or 1
local limit = prefix_limit()
local owns = faded(prefix[place], limit, prefix_days)
local group = human and 3 or known and 4 or owns >= 1 and 2 or 1

-- What the prefix has after a refusal: a proven one pays, and one without entered codes is marked.
local function refused(mark)
  if group == 2 then
    return owns - 1
  end
  return group == 1 and prefix_earned == 0 and math.min(owns, -mark) or owns
end

-- The milliseconds until an account of money may owe so much, or nil if it may now. A new prefix
-- that owes something may use a share of the limit.
local function overdrawn(after, most, forgiven, mark)
  local whole = math.max(most, price)
  local part = group == 1 and math.max(most * 0.8, price) or whole
  if after >= -((group == 1 and owns < 0) and part or whole) then
    return nil
  end
  local days = (-part - after) / forgiven
  if group == 1 then
    local clear = math.max(0, -refused(mark)) / limit
    days = math.min(days, math.max(clear, (-whole - after) / forgiven))
  end
  return math.ceil(days * DAY)
end

local reason, wait
local country_limit, credit, forgiven = country_terms(group)
local after = lapsed(country[group], country_limit, credit, forgiven, country_days) - price
local mark = 1 / 3
wait = overdrawn(after, country_limit, forgiven, mark)
if wait then
  reason = 1
end
local world_pays = group ~= 4 and not forced and after < -0.1 * country_earned
local most, after_world = world_limit(), 0
if world_pays then
  after_world = lapsed(world[place], most, 0, most, world_days) - price
  if not wait then
    mark = 1
  end
  local wait_world = overdrawn(after_world, most, most, mark)
  if wait_world and wait_world > (wait or -1) then
    reason, wait = 2, wait_world
  end
end
local prefix_refuses = group ~= 4 and owns - 1 < -math.max(limit, 1)
if prefix_refuses then
  local wait_prefix = math.ceil((-math.max(limit, 1) - (owns - 1)) / limit * DAY)
  if wait_prefix >= (wait or -1) then
    reason, wait = 0, wait_prefix
  end
end

local paid
if wait and forced then
  paid = 11 -- what an account had no room for must not come back to it
elseif wait then
  if not prefix_refuses then
    local left = refused(mark)
    if owns - left >= 1 / 30 then -- a write for each refused start would be too many
      keep_prefix(place, left)
    end
  end
  if not observed then
    count_traffic(0, 0, 1, 0, 0)
    return replies('0 ' .. reason .. ' ' .. wait)
  end
  paid = 8 + reason
else
  keep_country(group, after)
  if group ~= 4 then
    keep_prefix(place, owns - 1)
  end
  if world_pays then
    keep_world(place, after_world)
  end
  paid = group - 1 + (world_pays and 4 or 0)
end

local raised = counted and number
if raised then
  redis.call('SET', KEYS[5], struct.pack('>I6I4', known_until, unanswered + 1), 'KEEPTTL')
end
for place, begin in ipairs(begins) do
  local takes, _, window = struct.unpack('>ddI6', ARGV[1], 36 + 22 * (place - 1))
  cap_put(KEYS[8 + place], had[8 + place] or '', window, begin, sums[place],
    math.floor(now * 60 / window), takes)
end
count_traffic(1, 0, 0, (paid >= 8 and paid < 11) and 1 or 0, cost)
local event = 0
if counts_network then
  event = count_event(KEYS[8], network, ARGV[1]:sub(limits, limits + 9))
end
local bill = now
if bills ~= '' then
  bill = math.max(now, struct.unpack('>I6', bills, #bills - BILL_SIZE + 1) + 1)
end
local reply = '1 ' .. now .. ' ' .. event .. ' ' .. paid .. ' ' .. (raised and 1 or 0) .. ' ' ..
  bill .. ' ' .. levels
bills = bills:sub(-7 * BILL_SIZE) .. struct.pack(BILL, bill, now + remember, paid, price)
keep_bills(bills, nonce .. reply)
return reply
