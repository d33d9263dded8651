-- The accounts against SMS pumping, as core/fraud.py defines them; after fraud_ledger. An operation
-- says before what `at_risk` is, and of a right code what it adds to what was earned: `entered`, in
-- messages, to the prefix, and `earned`, in money, to the country and the world; else they are 0.
--
-- A record is an instant (6 bytes), what was earned (a double), and its balances (doubles): of a
-- prefix and the world that of strangers and that of those who passed a human check; of a country
-- new, proven, human, known, and the tally of fraud_traffic. fraud_keep writes them.

local DAY = 86400000
local prefix_at, prefix_earned, prefix, prefix_days = 0, entered, { 0, 0 }, 0
if had[2] then
  prefix_at, prefix_earned, prefix[1], prefix[2] = unpack_bytes('>I6ddd', had[2])
  local sum = prefix_earned + prefix[1] + prefix[2]
  assert(#had[2] == 30 and sum - sum == 0, 'a foreign value')
  prefix_days = max(0, now - prefix_at) / DAY
  prefix_earned = prefix_earned * math.exp(-prefix_days) + entered
end
local country_at, country_earned, country, country_days = 0, earned, { 0, 0, 0, 0 }, 0
local country_had_earned = 0
if had[3] then
  country_at, country_had_earned, country[1], country[2], country[3], country[4] =
    unpack_bytes('>I6ddddd', had[3])
  local sum = country_had_earned + country[1] + country[2] + country[3] + country[4]
  assert(#had[3] == 82 and sum - sum == 0, 'a foreign value')
  country_days = max(0, now - country_at) / DAY
  country_earned = country_had_earned * math.exp(-country_days) + earned
end
local world_at, world_earned, world, world_days = 0, earned, { 0, 0 }, 0
if had[4] then
  world_at, world_earned, world[1], world[2] = unpack_bytes('>I6ddd', had[4])
  local sum = world_earned + world[1] + world[2]
  assert(#had[4] == 30 and sum - sum == 0, 'a foreign value')
  world_days = max(0, now - world_at) / DAY
  world_earned = world_earned * math.exp(-world_days) + earned
end

-- What an account may owe, and how much of its debt is forgiven in a day, which is the same for the
-- prefix and the world. Those of a country hold for its accounts of strangers; that of known numbers
-- has three times as much. An account may have as much as it may owe; those of new prefixes, and the
-- world's, have nothing.
local prefix_limit = max(8, 0.5 * prefix_earned)
local country_limit = max(at_risk / 2, 0.005 * country_earned)
local country_forgiven = max(at_risk / 2, 3 * 0.005 * country_earned)
local world_limit = 2 * max(at_risk / 2, 0.005 * world_earned)

-- A balance of money after so many days; it may owe a message of that price.
local function lapsed(balance, limit, credit, forgiven, days, price)
  if balance < 0 then
    return min(0, max(balance, -max(limit, price)) + forgiven * days)
  end
  return max(0, min(balance, credit) - limit * days)
end

-- A prefix's balance after so many days.
local function faded(balance, limit, days)
  if balance < 0 then
    return min(0, max(balance, -limit) + limit * days)
  end
  return balance ~= 0 and min(balance, limit) * math.exp(-days / 90) or 0
end
