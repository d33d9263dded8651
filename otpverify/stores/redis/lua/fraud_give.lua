-- What comes back to the accounts that paid, as core/fraud.py defines it; after fraud_accounts.
--
-- An operation says before who `paid`, less than 8, the `price`, and how many `times` it comes back.

group = paid % 4 + 1
place = group == 3 and 2 or 1
local wider = group == 4 and 3 or 1
local limit = wider * country_limit
local credit = group == 1 and 0 or limit
local balance = lapsed(country[group], limit, credit, wider * country_forgiven, country_days, price)
-- Of a message that is dearer than the limit, the debt may have been cut to the limit since.
local back = balance < -limit and price or min(price, limit)
country_after = max(balance, min(credit, balance + back * times))
if group ~= 4 then
  prefix_after = min(prefix_limit, faded(prefix[place], prefix_limit, prefix_days) + times)
end
if paid >= 4 or entered > 0 then
  world_after = lapsed(world[place], world_limit, 0, world_limit, world_days, 0)
  if paid >= 4 then
    world_after = min(0, world_after + price * times)
  end
end
