-- The accounts against SMS pumping, as core/fraud.py defines them; after fraud_ledger. An operation
-- says before what `at_risk` is.
--
-- A record is an instant (6 bytes), what was earned (a double), and its balances (doubles): of a
-- prefix and the world that of strangers and that of those who passed a human check; of a country
-- new, proven, human, known.

local DAY, max, min = 86400000, math.max, math.min
local LIFETIME = '2592000000' -- of a country and the world: 30 days, after which nothing is left
local prefix_at, prefix_earned, prefix, prefix_days = 0, 0, { 0, 0 }, 0
if had[2] then
  prefix_at, prefix_earned, prefix[1], prefix[2] = struct.unpack('>I6ddd', had[2])
  assert(#had[2] == 30 and is_finite(prefix_earned + prefix[1] + prefix[2]), 'a foreign value')
  prefix_days = max(0, now - prefix_at) / DAY
  prefix_earned = prefix_earned * math.exp(-prefix_days)
end
local country_at, country_earned, country, country_days = 0, 0, { 0, 0, 0, 0 }, 0
if had[3] then
  country_at, country_earned, country[1], country[2], country[3], country[4] =
    struct.unpack('>I6ddddd', had[3])
  local sum = country_earned + country[1] + country[2] + country[3] + country[4]
  assert(#had[3] == 46 and is_finite(sum), 'a foreign value')
  country_days = max(0, now - country_at) / DAY
  country_earned = country_earned * math.exp(-country_days)
end
local world_at, world_earned, world, world_days = 0, 0, { 0, 0 }, 0
if had[4] then
  world_at, world_earned, world[1], world[2] = struct.unpack('>I6ddd', had[4])
  assert(#had[4] == 30 and is_finite(world_earned + world[1] + world[2]), 'a foreign value')
  world_days = max(0, now - world_at) / DAY
  world_earned = world_earned * math.exp(-world_days)
end

local function prefix_limit()
  return max(8, 0.5 * prefix_earned)
end

-- Limit, credit and forgiven of an account of the country: 1 new, 2 proven, 3 human, 4 known.
local function country_terms(group)
  local times = group == 4 and 3 or 1
  local limit = times * max(at_risk / 2, 0.005 * country_earned)
  local forgiven = times * max(at_risk / 2, 3 * 0.005 * country_earned)
  return limit, group == 1 and 0 or limit, forgiven
end

local function world_limit()
  return 2 * max(at_risk / 2, 0.005 * world_earned)
end

-- A balance of money after so many days; it may owe a message of that price.
local function lapsed(balance, limit, credit, forgiven, days, price)
  if balance < 0 then
    return min(0, max(balance, -max(limit, price or 0)) + forgiven * days)
  end
  return max(0, min(balance, credit) - limit * days)
end

local function faded(balance, limit, days)
  if balance < 0 then
    return min(0, max(balance, -limit) + limit * days)
  end
  return balance ~= 0 and min(balance, limit) * math.exp(-days / 90) or 0
end

-- Milliseconds for which the record of a prefix matters: until its debts are forgiven, and less than
-- half a message is left of the rest.
local function lifetime(debt, credit)
  local days = min(1, debt / 8)
  if prefix_earned > 0.5 or credit > 0.5 then
    days = days + max(math.log(max(1, prefix_earned / 0.5)), 90 * math.log(max(1, credit / 0.5)))
  end
  return 1000 * max(1, math.ceil(DAY / 1000 * days))
end

local function keep_prefix(place, balance)
  local other = 3 - place
  prefix[place], prefix[other] = balance, faded(prefix[other], prefix_limit(), prefix_days)
  redis.call('SET', KEYS[2],
    struct.pack('>I6ddd', max(now, prefix_at), prefix_earned, prefix[1], prefix[2]),
    'PX', lifetime(max(0, -min(prefix[1], prefix[2])), max(prefix[1], prefix[2])))
end

local function keep_country(group, balance)
  for other = 1, 4 do
    if other == group then
      country[other] = balance
    elseif country[other] ~= 0 then
      local limit, credit, forgiven = country_terms(other)
      country[other] = lapsed(country[other], limit, credit, forgiven, country_days)
    end
  end
  redis.call('SET', KEYS[3],
    struct.pack('>I6ddddd', max(now, country_at), country_earned, country[1], country[2],
      country[3], country[4]),
    'PX', LIFETIME)
end

local function keep_world(place, balance)
  local other, limit = 3 - place, world_limit()
  world[place], world[other] = balance, lapsed(world[other], limit, 0, limit, world_days)
  redis.call('SET', KEYS[4],
    struct.pack('>I6ddd', max(now, world_at), world_earned, world[1], world[2]),
    'PX', LIFETIME)
end
