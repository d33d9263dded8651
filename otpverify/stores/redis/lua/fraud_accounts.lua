-- What fraud_charge and fraud_give begin with: the accounts against SMS pumping, as core/fraud.py
-- defines them; they are tested against it, answer by answer.
--
-- KEYS   prefix, country, world, nonce
-- ARGV   what an operation takes, packed; all numbers are big-endian
--
-- A record is an instant (6 bytes), what was earned (a double), and its balances (doubles): of a
-- prefix and the world that of strangers and that of those who passed a human check; of a country
-- new, proven, human, known. The nonce's key holds the reply for half a minute, so that a call that
-- is repeated, since its reply got lost, counts once.

local DAY = 86400000
local replied = redis.call('GET', KEYS[4])
if replied then
  return replied
end
local raw_prefix, raw_country, raw_world = unpack(redis.call('MGET', KEYS[1], KEYS[2], KEYS[3]))

local prefix_at, prefix_earned, prefix = 0, 0, { 0, 0 }
if raw_prefix then
  prefix_at, prefix_earned, prefix[1], prefix[2] = struct.unpack('>I6ddd', raw_prefix)
end
local country_at, country_earned, country = 0, 0, { 0, 0, 0, 0 }
if raw_country then
  country_at, country_earned, country[1], country[2], country[3], country[4] =
    struct.unpack('>I6ddddd', raw_country)
end
local world_at, world_earned, world = 0, 0, { 0, 0 }
if raw_world then
  world_at, world_earned, world[1], world[2] = struct.unpack('>I6ddd', raw_world)
end

local prefix_days = math.max(0, now - prefix_at) / DAY
local country_days = math.max(0, now - country_at) / DAY
local world_days = math.max(0, now - world_at) / DAY
prefix_earned = prefix_earned ~= 0 and prefix_earned * math.exp(-prefix_days) or 0
country_earned = country_earned ~= 0 and country_earned * math.exp(-country_days) or 0
world_earned = world_earned ~= 0 and world_earned * math.exp(-world_days) or 0

local function prefix_limit()
  return math.max(8, 0.5 * prefix_earned)
end

-- Limit, credit and forgiven of an account of the country: 1 new, 2 proven, 3 human, 4 known.
local function country_terms(at_risk, group)
  local times = group == 4 and 3 or 1
  local limit = times * math.max(at_risk / 2, 0.005 * country_earned)
  local forgiven = times * math.max(at_risk / 2, 3 * 0.005 * country_earned)
  return limit, group == 1 and limit * 0.2 or limit, forgiven
end

local function world_limit(at_risk)
  return 3 * math.max(at_risk / 2, 0.005 * world_earned)
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

-- Seconds for which a record matters: until its debts are forgiven, and less than half a message,
-- or half a unit of money, is left of the rest.
local function seconds(earned, credit, days)
  local rest = math.max(1, 2 * earned)
  local kept = math.max(1, 2 * credit)
  return math.ceil(86400 * (1 + math.max(math.log(rest), days * math.log(kept))))
end

local function keep_prefix(place, balance)
  local limit = prefix_limit()
  for other = 1, 2 do
    prefix[other] = other == place and balance or faded(prefix[other], limit, prefix_days)
  end
  local credit = math.max(prefix[1], prefix[2])
  redis.call('PSETEX', KEYS[1], 1000 * seconds(prefix_earned, credit, 90),
    struct.pack('>I6ddd', math.max(now, prefix_at), prefix_earned, prefix[1], prefix[2]))
end

local function keep_country(at_risk, group, balance)
  for other = 1, 4 do
    local limit, credit, forgiven = country_terms(at_risk, other)
    country[other] = other == group and balance
      or lapsed(country[other], limit, credit, forgiven, country_days)
  end
  redis.call('PSETEX', KEYS[2], 1000 * seconds(country_earned, 0, 1),
    struct.pack('>I6ddddd', math.max(now, country_at), country_earned, country[1], country[2],
      country[3], country[4]))
end

local function keep_world(at_risk, place, balance)
  local limit = world_limit(at_risk)
  for other = 1, 2 do
    world[other] = other == place and balance or lapsed(world[other], limit, limit, limit, world_days)
  end
  redis.call('PSETEX', KEYS[3], 1000 * seconds(world_earned, 0, 1),
    struct.pack('>I6ddd', math.max(now, world_at), world_earned, world[1], world[2]))
end

local function replies(reply)
  redis.call('PSETEX', KEYS[4], 30000, reply)
  return reply
end
