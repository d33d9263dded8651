-- Take a message's price from the accounts of its prefix, its country and the world, or refuse.
--
-- KEYS   see fraud_accounts.lua
-- ARGV   what is known of the request (1 byte: 1 known, 2 human, 4 forced, added), price, at_risk
--        (doubles)
-- Reply  "1 group world": the account of the country that paid (0 new, 1 proven, 2 human,
--        3 known), and whether the world paid, too
--        "0 reason wait": 0 prefix, 1 country, 2 world; milliseconds

-- include clock
-- include fraud_accounts
local flags, price, at_risk = struct.unpack('>Bdd', ARGV[1])
local forced, human, known = flags >= 4, math.floor(flags / 2) % 2 == 1, flags % 2 == 1
local place = human and 2 or 1
local limit = prefix_limit()
local owns = faded(prefix[place], limit, prefix_days)
local group = human and 3 or known and 4 or owns >= 1 and 2 or 1

-- The milliseconds until an account of money may owe so much, or nil if it may now. A new prefix
-- that owes something may use a share of the limit; `mark` is what it owes after a refusal.
local function overdrawn(after, most, forgiven, share, mark)
  local whole = math.max(most, price)
  local part = group == 1 and math.max(most * share, price) or whole
  if after >= -((group == 1 and owns < 0) and part or whole) then
    return nil
  end
  local days = (-part - after) / forgiven
  if group == 1 then
    local clear = math.max(-owns, mark) / limit
    days = math.min(days, math.max(clear, (-whole - after) / forgiven))
  end
  return math.ceil(days * DAY)
end

local reason, wait
local country_limit, credit, forgiven = country_terms(at_risk, group)
local after = lapsed(country[group], country_limit, credit, forgiven, country_days) - price
local mark = 1 / 6
wait = overdrawn(after, country_limit, forgiven, 3 / 4, mark)
if wait then
  reason = 1
end
local world_pays, most, after_world = group ~= 4 and after < 0, world_limit(at_risk), 0
if world_pays then
  after_world = lapsed(world[place], most, most, most, world_days) - price
  if not wait then
    wait = overdrawn(after_world, most, most, 2 / 3, 1)
    if wait then
      reason, mark = 2, 1
    end
  end
end
if group ~= 4 and owns - 1 < -math.max(limit, 1) then
  reason, wait = 0, math.ceil((-math.max(limit, 1) - (owns - 1)) / limit * DAY)
end

if wait and not forced then
  if reason ~= 0 and group <= 2 then
    local left = group == 2 and owns - 1 or math.min(owns, -mark)
    if owns - left >= mark / 10 then
      keep_prefix(place, left)
    end
  end
  return replies(string.format('0 %d %.0f', reason, wait))
end
keep_country(at_risk, group, math.max(after, -math.max(country_limit, price)))
if group ~= 4 then
  keep_prefix(place, math.max(owns - 1, -limit))
end
if world_pays then
  keep_world(at_risk, place, math.max(after_world, -math.max(most, price)))
end
return replies(string.format('1 %d %d', group - 1, world_pays and 1 or 0))
