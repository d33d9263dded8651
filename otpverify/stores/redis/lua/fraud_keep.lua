-- Write the accounts that an operation changed, and what it counts in the country's tally, as
-- core/fraud.py and core/traffic.py define it; after fraud_accounts and fraud_traffic.
--
-- It says before what is `sent`, `verified`, `refused` and `would_refuse`, and the `cost`; whose the
-- accounts are: `group` (1 new, 2 proven, 3 human, 4 known) and `place` (1 strangers, 2 those who
-- passed a human check); and what each has now, `prefix_after`, `country_after` and `world_after`,
-- or nil where nothing changes. The records' other balances are brought up to date, too.

-- Of a country and the world: 30 days, after which nothing is left. A tally is read for 14 days.
local LIFETIME = '2592000000'
if prefix_after then
  local other = faded(prefix[3 - place], prefix_limit, prefix_days)
  local debt, credit = max(0, -min(prefix_after, other)), max(prefix_after, other)
  -- The record matters until its debts are forgiven, and less than half a message is left of the
  -- rest.
  local lifetime = min(1, debt / 8)
  if prefix_earned > 0.5 or credit > 0.5 then
    lifetime = lifetime
      + max(math.log(max(1, prefix_earned / 0.5)), 90 * math.log(max(1, credit / 0.5)))
  end
  prefix[place], prefix[3 - place] = prefix_after, other
  call('PSETEX', KEYS[2], 1000 * max(1, ceil(DAY / 1000 * lifetime)),
    pack_bytes('>I6ddd', max(now, prefix_at), prefix_earned, prefix[1], prefix[2]))
end
if past then -- once an hour: old hours become days, and old days are dropped
  local first, kept = hour - 14 * 24, {}
  first = first - first % 24
  for from = 1, #past, TRAFFIC_SIZE do
    local record, last = { unpack_bytes(TRAFFIC, past, from) }, kept[#kept]
    if record[1] < hour - 48 then
      record[1] = record[1] - record[1] % 24
    end
    if last and last[1] == record[1] then
      for nth = 2, 6 do
        last[nth] = last[nth] + record[nth]
      end
    elseif record[1] >= first then
      kept[#kept + 1] = record
    end
  end
  for nth, record in ipairs(kept) do
    kept[nth] = pack_bytes(TRAFFIC, unpack(record, 1, 6))
  end
  call('PSETEX', KEYS[#KEYS], '1382400000', table.concat(kept)) -- 16 days
end
if country_after then
  for other = 1, 4 do
    if other ~= group and country[other] ~= 0 then
      local times = other == 4 and 3 or 1
      local limit = times * country_limit
      country[other] = lapsed(country[other], limit, other == 1 and 0 or limit,
        times * country_forgiven, country_days, 0)
    end
  end
  country[group], country_at = country_after, max(now, country_at)
else
  country_earned = country_had_earned
end
call('PSETEX', KEYS[3], LIFETIME,
  pack_bytes('>I6dddddI4i6i6i6i6d', country_at, country_earned, country[1], country[2], country[3],
    country[4], had_hour, had_sent + sent, had_verified + verified, had_refused + refused,
    had_would_refuse + would_refuse, had_cost + cost))
if world_after then
  world[3 - place] = lapsed(world[3 - place], world_limit, 0, world_limit, world_days, 0)
  world[place] = world_after
  call('PSETEX', KEYS[4], LIFETIME,
    pack_bytes('>I6ddd', max(now, world_at), world_earned, world[1], world[2]))
end
