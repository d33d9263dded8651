-- The accounts against SMS pumping, as core/fraud.py defines them; after fraud_ledger. An operation
-- says before what `at_risk` is.
--
-- A record is an instant (6 bytes), what was earned (a double), and its balances (doubles): of a
-- prefix and the world that of strangers and that of those who passed a human check; of a country
-- new, proven, human, known.

local DAY = 86400000
local prefix_at, prefix_earned, prefix, prefix_days = 0, 0, { 0, 0 }, 0
if had[2] then
  prefix_at, prefix_earned, prefix[1], prefix[2] = struct.unpack('>I6ddd', had[2])
  assert(#had[2] == 30 and is_finite(prefix_earned + prefix[1] + prefix[2]), 'a foreign value')
  prefix_days = math.max(0, now - prefix_at) / DAY
  prefix_earned = prefix_earned * math.exp(-prefix_days)
end
local country_at, country_earned, country, country_days = 0, 0, { 0, 0, 0, 0 }, 0
if had[3] then
  country_at, country_earned, country[1], country[2], country[3], country[4] =
    struct.unpack('>I6ddddd', had[3])
  local sum = country_earned + country[1] + country[2] + country[3] + country[4]
  assert(#had[3] == 46 and is_finite(sum), 'a foreign value')
  country_days = math.max(0, now - country_at) / DAY
  country_earned = country_earned * math.exp(-country_days)
end
local world_at, world_earned, world, world_days = 0, 0, { 0, 0 }, 0
if had[4] then
  world_at, world_earned, world[1], world[2] = struct.unpack('>I6ddd', had[4])
  assert(#had[4] == 30 and is_finite(world_earned + world[1] + world[2]), 'a foreign value')
  world_days = math.max(0, now - world_at) / DAY
  world_earned = world_earned * math.exp(-world_days)
end

local function prefix_limit()
  return math.max(8, 0.5 * prefix_earned)
end

-- Limit, credit and forgiven of an account of the country: 1 new, 2 proven, 3 human, 4 known.
local function country_terms(group)
  local times = group == 4 and 3 or 1
  local limit = times * math.max(at_risk / 2, 0.005 * country_earned)
  local forgiven = times * math.max(at_risk / 2, 3 * 0.005 * country_earned)
  return limit, group == 1 and 0 or limit, forgiven
end

local function world_limit()
  return 2 * math.max(at_risk / 2, 0.005 * world_earned)
end

local function lapsed(balance, limit, credit, forgiven, days)
  if balance < 0 then
    return math.min(0, math.max(balance, -limit) + forgiven * days)
  end
  return math.max(0, math.min(balance, credit) - limit * days)
end

local function faded(balance, limit, days)
  if balance < 0 then
    return math.min(0, math.max(balance, -limit) + limit * days)
  end
  return balance ~= 0 and math.min(balance, limit) * math.exp(-days / 90) or 0
end

-- Milliseconds for which a record matters: until its debts are forgiven, and less than half a
-- message, or half a unit of money, is left of the rest.
local function lifetime(debt_days, earned, memory_days, credit)
  local days = debt_days
  if earned > 0.5 or credit > 0.5 then
    days = days + math.max(math.log(math.max(1, 2 * earned)),
      memory_days * math.log(math.max(1, 2 * credit)))
  end
  return 1000 * math.max(1, math.ceil(DAY / 1000 * days))
end

local function keep_prefix(place, balance)
  local other = 3 - place
  prefix[place], prefix[other] = balance, faded(prefix[other], prefix_limit(), prefix_days)
  local debt_days = math.min(1, math.max(0, -prefix[1], -prefix[2]) / 8)
  redis.call('SET', KEYS[2],
    struct.pack('>I6ddd', math.max(now, prefix_at), prefix_earned, prefix[1], prefix[2]),
    'PX', lifetime(debt_days, prefix_earned, 90, math.max(prefix[1], prefix[2])))
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
    struct.pack('>I6ddddd', math.max(now, country_at), country_earned, country[1], country[2],
      country[3], country[4]),
    'PX', lifetime(1, country_earned, 1, 0))
end

local function keep_world(place, balance)
  local other, limit = 3 - place, world_limit()
  world[place], world[other] = balance, lapsed(world[other], limit, 0, limit, world_days)
  redis.call('SET', KEYS[4],
    struct.pack('>I6ddd', math.max(now, world_at), world_earned, world[1], world[2]),
    'PX', lifetime(1, world_earned, 1, 0))
end

-- Give back to the accounts that paid. Amounts and what is earned are in messages; money is the
-- price times that.
local function give(group, world_paid, price, times, earned)
  country_earned = country_earned + price * earned
  local limit, credit, forgiven = country_terms(group)
  local balance = lapsed(country[group], limit, credit, forgiven, country_days)
  keep_country(group, math.max(balance, math.min(credit, balance + price * times)))
  local place = group == 3 and 2 or 1
  if group ~= 4 then
    prefix_earned = prefix_earned + earned
    limit = prefix_limit()
    keep_prefix(place, math.min(limit, faded(prefix[place], limit, prefix_days) + times))
  end
  if world_paid or earned ~= 0 then
    world_earned = world_earned + price * earned
    limit = world_limit()
    balance = lapsed(world[place], limit, 0, limit, world_days)
    if world_paid then
      balance = math.min(0, balance + price * times)
    end
    keep_world(place, balance)
  end
end
