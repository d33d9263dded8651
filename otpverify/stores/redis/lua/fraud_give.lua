-- Give back to the accounts that paid: for a right code, or for a message that was not sent.
--
-- KEYS   see fraud_accounts.lua
-- ARGV   the account of the country that paid (1 byte: 0 new, 1 proven, 2 human, 3 known), whether
--        the world paid, too (1 byte), price, at_risk, how many times the price comes back, how
--        many times it is earned (doubles)
-- Reply  "1"

-- include clock
-- include fraud_accounts
local group, world_paid, price, at_risk, times, earned = struct.unpack('>BBdddd', ARGV[1])
group = group + 1
local place = group == 3 and 2 or 1
country_earned = country_earned + price * earned
local limit, credit, forgiven = country_terms(at_risk, group)
local balance = lapsed(country[group], limit, credit, forgiven, country_days)
keep_country(at_risk, group, math.max(balance, math.min(credit, balance + price * times)))
if group ~= 4 then
  prefix_earned = prefix_earned + earned
  limit = prefix_limit()
  keep_prefix(place, math.min(limit, faded(prefix[place], limit, prefix_days) + times))
end
if world_paid == 1 or earned ~= 0 then
  world_earned = world_earned + price * earned
  limit = world_limit(at_risk)
  balance = lapsed(world[place], limit, limit, limit, world_days)
  if world_paid == 1 then
    balance = math.min(limit, balance + price * times)
  end
  keep_world(at_risk, place, balance)
end
return replies('1')
